/**
 * The modes of authorization a server was started with, in their order: those of --authorization-mode, or of the file
 * that --authorization-config names. Webhooks among them are made here, with what they are asked over.
 */

import type { Clock, Logger } from '@keelson/base';

import type { AccessMetrics } from '../authz/access-metrics.ts';
import { readAbacPolicies } from '../authz/abac.ts';
import { readAuthorizationConfig, type ConfiguredMode } from '../authz/authorization-config.ts';
import { matchConditions } from '../authz/match-conditions.ts';
import type { RuleResolver } from '../authz/user-rules.ts';
import { WebhookAuthorizer } from '../authz/webhook.ts';
import type { AuthorizationMode } from '../bootstrap/access.ts';
import { readYaml } from '../codec/yaml.ts';
import type { ServerConfig } from '../options/config.ts';
import type { ProgramRunner } from '../outbound/exec-credentials.ts';
import type { HttpsCaller } from '../outbound/https-caller.ts';
import { readKubeconfig, reviewCaller } from './review-caller.ts';

export interface AuthorizationParts {
  readonly config: ServerConfig;
  readonly readFile: (path: string) => string;
  readonly programs: ProgramRunner;
  readonly caller: HttpsCaller;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ends questions to webhooks. */
  readonly signal: AbortSignal;
  readonly metrics: AccessMetrics;
}

/** The original's, for webhooks of --authorization-webhook-config-file. */
const TIMEOUT_MS = 30_000;

/** A webhook decides; it cannot list. */
const UNTOLD: RuleResolver = {
  rulesFor: () => ({
    resourceRules: [],
    nonResourceRules: [],
    incomplete: true,
    errors: ['webhook authorizer does not support user rule resolution'],
  }),
};

type WebhookMode = Extract<ConfiguredMode, { type: 'Webhook' }>;

/** @throws Error for a file that cannot be used */
export function makeAuthorization(parts: AuthorizationParts): AuthorizationMode[] {
  return configuredModes(parts).map((mode) => {
    switch (mode.type) {
      case 'Webhook':
        return webhookMode(mode, parts);
      case 'ABAC':
        return abacMode(parts);
      default:
        return mode.type;
    }
  });
}

function configuredModes({ config, readFile }: AuthorizationParts): ConfiguredMode[] {
  const { authorizationFile, authorizationModes, authorizationWebhook } = config;
  if (authorizationFile !== '') return readAuthorizationConfig(readYaml(readFile(authorizationFile)));
  return authorizationModes.map((type): ConfiguredMode => {
    if (type !== 'Webhook') return { type, name: type.toLowerCase() };
    const { file, version, authorizedTtlMs, unauthorizedTtlMs } = authorizationWebhook;
    return {
      type,
      name: 'default',
      webhook: {
        authorizedTtlMs,
        unauthorizedTtlMs,
        timeoutMs: TIMEOUT_MS,
        version,
        failurePolicy: 'NoOpinion',
        kubeconfig: file,
        matchConditions: [],
      },
    };
  });
}

/** @throws Error for a file that cannot be read, or a line of it that is no policy */
function abacMode({ config, readFile, logger }: AuthorizationParts): AuthorizationMode {
  const path = config.authorizationPolicyFile;
  const { authorizer, unversioned } = readAbacPolicies(readFile(path), path);
  if (unversioned > 0) {
    logger.warn(
      `Policy file ${path} contained unversioned rules. See docs/admin/authorization.md#abac-mode for ABAC file format details.`,
    );
  }
  return { label: { type: 'ABAC', name: 'abac' }, authorizer, rules: authorizer };
}

function webhookMode(
  { name, webhook }: WebhookMode,
  { readFile, programs, caller, clock, logger, signal, metrics }: AuthorizationParts,
): AuthorizationMode {
  const { kubeconfig, timeoutMs, version, authorizedTtlMs, unauthorizedTtlMs, failurePolicy } = webhook;
  const { matchConditions: conditions } = webhook;
  if (kubeconfig === undefined) {
    throw new Error(`authorizer ${JSON.stringify(name)}: InClusterConfig is for servers that run in a pod`);
  }
  const server = readKubeconfig(kubeconfig, { readFile, programs }).current();
  const authorizer = new WebhookAuthorizer({
    post: reviewCaller(server, { caller, clock, timeoutMs, signal }),
    version,
    authorizedTtlMs,
    unauthorizedTtlMs,
    failurePolicy,
    ...(conditions.length === 0 ? {} : { matches: matchConditions(conditions) }),
    monotonicMs: () => clock.monotonicMs(),
    observer: metrics.webhook(name),
    failed: (error) =>
      logger.warn('an authorization webhook did not answer', {
        authorizer: name,
        error: error instanceof Error ? error.message : String(error),
      }),
  });
  return { label: { type: 'Webhook', name }, authorizer, rules: UNTOLD };
}
