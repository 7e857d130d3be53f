/** What is let in, out of the flags and the file that they name: the chain of plugins, and the webhooks among them. */

import type { Clock } from '@keelson/base';

import { AdmissionChain } from '../admission/chain.ts';
import { chainMetrics } from '../admission/chain-metrics.ts';
import { defaultPlugins } from '../admission/default-plugins.ts';
import type { AdmissionFunction } from '../admission/functions/admission-function.ts';
import { podSecurityMetrics } from '../admission/pod-security/security-metrics.ts';
import { conditionMetrics } from '../admission/policies/condition-metrics.ts';
import type { WebhookContext } from '../admission/webhooks/webhook-context.ts';
import type { Authorizer } from '../api/user-info.ts';
import type { Turns } from '../flowcontrol/turns.ts';
import { API_VERSION } from '../handlers/version.ts';
import type { MetricsRegistry } from '../metrics/registry.ts';
import type { ServerConfig } from '../options/config.ts';
import type { HttpsCaller } from '../outbound/https-caller.ts';
import { admissionLookup } from '../registry/admission-lookup.ts';
import type { Scheme } from '../registry/scheme.ts';
import type { AdmissionFile } from './admission-config.ts';
import type { AdmissionPolicies } from './admission-policies.ts';
import { makeWebhooks } from './admission-webhooks.ts';

export interface AdmissionParts {
  readonly config: Pick<ServerConfig, 'enabledPlugins' | 'disabledPlugins' | 'onlyPlugins'>;
  readonly file: AdmissionFile;
  readonly policies: AdmissionPolicies;
  /** Of the process that the server lives in. */
  readonly functions: readonly AdmissionFunction[];
  readonly authorizer: Authorizer;
  /** Asked at each request: the scheme is made later. */
  readonly scheme: () => Scheme;
  readonly caller: HttpsCaller;
  readonly turns: Turns;
  readonly clock: Clock;
  readonly random: (limit: number) => number;
  readonly uuid: () => string;
  readonly metrics: MetricsRegistry;
}

export interface Admission {
  readonly chain: AdmissionChain;
  readonly webhooks: WebhookContext;
}

/** @throws PluginFlagsError */
export function makeAdmission(parts: AdmissionParts): Admission {
  const { config, file, policies, functions, scheme, caller, clock, random, uuid, metrics } = parts;
  const { enabledPlugins: enable, disabledPlugins: disable, onlyPlugins: only } = config;
  const lookup = admissionLookup(scheme);
  const webhooks = makeWebhooks({
    scheme,
    lookup,
    uuid,
    random,
    metrics,
    caller,
    kubeconfigs: file.webhooks,
  });
  const { versions, observer } = webhooks;
  const context = {
    lookup,
    authorizer: parts.authorizer,
    clock,
    turns: parts.turns,
    random,
    settings: file.settings,
    webhooks,
    conditions: conditionMetrics(metrics),
    podSecurity: podSecurityMetrics(metrics, Number(API_VERSION.minor)),
    policies: policies.context,
    functions: { functions, versions, clock, ...(observer === undefined ? {} : { observer }) },
  };
  const plugins = defaultPlugins(context, { enable, disable, only });
  return { chain: new AdmissionChain(plugins, chainMetrics(metrics, clock)), webhooks };
}
