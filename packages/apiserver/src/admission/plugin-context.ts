/**
 * What plugins are made with: the cluster's other objects, authorization, time and dice, and the settings of the
 * server's flags and of --admission-control-config-file. Types and defaults only.
 */

import type { Clock } from '@keelson/base';

import type { JsonObject } from '../api/json.ts';
import type { Authorizer } from '../api/user-info.ts';
import type { Turns } from '../flowcontrol/turns.ts';
import type { FunctionContext } from './functions/function-plugin.ts';
import type { ConditionObserver } from './policies/match-conditions.ts';
import type { PodSecurityObserver } from './pod-security/security-metrics.ts';
import type { PolicyContext } from './policies/policy-context.ts';
import type { ResourceLookup } from './resource-lookup.ts';
import type { WebhookContext } from './webhooks/webhook-context.ts';

export interface PluginContext {
  readonly lookup: ResourceLookup;
  /** Asked about the user of a request: signers, owners. */
  readonly authorizer: Authorizer;
  readonly clock: Clock;
  /** Of the event loop, for expressions that take long. */
  readonly turns: Turns;
  /** A random whole number, 0 ≤ n < limit. */
  readonly random: (limit: number) => number;
  readonly settings: PluginSettings;
  /** Told of match conditions, for metrics. */
  readonly conditions?: ConditionObserver;
  /** Told what PodSecurity decides, for metrics. */
  readonly podSecurity?: PodSecurityObserver;
  /** Functions of the process, each asked before a plugin; none without. */
  readonly functions?: FunctionContext;
  /** Undefined: there are no policies. */
  readonly policies?: PolicyContext;
  /** Undefined: webhooks are not asked. */
  readonly webhooks?: WebhookContext;
}

export interface PluginSettings {
  /** --default-not-ready-toleration-seconds; 300. */
  readonly notReadyTolerationSeconds?: number;
  /** --default-unreachable-toleration-seconds; 300. */
  readonly unreachableTolerationSeconds?: number;
  /** PodSecurity's PodSecurityConfiguration. */
  readonly podSecurity?: PodSecuritySettings;
  /** ResourceQuota's limitedResources. */
  readonly limitedResources?: readonly LimitedResource[];
  /** PodNodeSelector: `clusterDefaultNodeSelector` and namespaces to selectors as text. */
  readonly nodeSelectors?: Readonly<Record<string, string>>;
  /** PodTolerationRestriction: what the cluster adds and allows where a namespace says nothing. */
  readonly tolerations?: {
    readonly default?: readonly JsonObject[];
    readonly whitelist?: readonly JsonObject[];
  };
  /** EventRateLimit's limits. */
  readonly eventLimits?: readonly EventLimit[];
  readonly imagePolicy?: ImagePolicySettings;
}

export interface PodSecuritySettings {
  readonly defaults?: Readonly<
    Partial<
      Record<'enforce' | 'enforce-version' | 'audit' | 'audit-version' | 'warn' | 'warn-version', string>
    >
  >;
  readonly exemptions?: {
    readonly usernames?: readonly string[];
    readonly namespaces?: readonly string[];
    readonly runtimeClasses?: readonly string[];
  };
}

/** A resource that may only be used where a quota covers it. */
export interface LimitedResource {
  readonly apiGroup?: string;
  readonly resource: string;
  readonly matchContains?: readonly string[];
  readonly matchScopes?: readonly JsonObject[];
}

export interface EventLimit {
  readonly type: 'Server' | 'Namespace' | 'User' | 'SourceAndObject';
  readonly qps: number;
  readonly burst: number;
  /** Keys that are remembered, the least used forgotten first; 4,096 unless said. */
  readonly cacheSize?: number;
}

export interface ImagePolicySettings {
  /** Sends an ImageReview and answers with the one that came back. */
  review(review: JsonObject, signal: AbortSignal): Promise<unknown>;
  /** How long an answer is remembered, seconds. */
  readonly allowTtlSeconds: number;
  readonly denyTtlSeconds: number;
  /** What holds while the service cannot be asked. */
  readonly defaultAllow: boolean;
}
