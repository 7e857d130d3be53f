/**
 * The modes of authorization a server was started with, in their order: those of --authorization-mode, or of the file
 * that --authorization-config names, which is followed: its order and its webhooks may change while the server runs.
 * Webhooks are made here, with what they are asked over.
 */

import type { Clock, Logger } from '@keelson/base';

import type { AccessMetrics } from '../authz/access-metrics.ts';
import { readAbacPolicies } from '../authz/abac.ts';
import {
  readAuthorizationConfig,
  type BuiltInMode,
  type ConfiguredMode,
} from '../authz/authorization-config.ts';
import { matchConditions } from '../authz/match-conditions.ts';
import type { RuleResolver } from '../authz/user-rules.ts';
import { WebhookAuthorizer } from '../authz/webhook.ts';
import type { AuthorizationMode } from '../bootstrap/access.ts';
import type { MetricsRegistry } from '../metrics/registry.ts';
import type { ServerConfig } from '../options/config.ts';
import type { ProgramRunner } from '../outbound/exec-credentials.ts';
import type { HttpsCaller } from '../outbound/https-caller.ts';
import { ConfigReload } from './config-reload.ts';
import { readKubeconfig, reviewCaller } from './review-caller.ts';

export type AuthorizationFlags = Pick<
  ServerConfig,
  'authorizationFile' | 'authorizationModes' | 'authorizationPolicyFile' | 'authorizationWebhook'
>;

export interface AuthorizationParts {
  readonly config: AuthorizationFlags;
  readonly readFile: (path: string) => string;
  readonly programs: ProgramRunner;
  readonly caller: HttpsCaller;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ends questions to webhooks. */
  readonly signal: AbortSignal;
  readonly metrics: AccessMetrics;
  readonly registry: MetricsRegistry;
  /** Of this server: bootstrap/identity-lease.ts. */
  readonly serverId: string;
  /** Told the modes that decide from now on: the file says so. */
  readonly changed: (modes: readonly AuthorizationMode[]) => void;
}

export interface Authorization {
  /** Those of the start. */
  readonly modes: readonly AuthorizationMode[];
  /** Follows --authorization-config; undefined without. */
  readonly reload: ConfigReload | undefined;
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
export function makeAuthorization(parts: AuthorizationParts): Authorization {
  const { config, readFile } = parts;
  const { authorizationFile: path } = config;
  if (path === '') {
    const made = modesOf(flagModes(config), parts, () => abacMode(parts));
    return { modes: made, reload: undefined };
  }
  const text = readFile(path);
  const first = fileModes(text, []);
  const builtIn = first.flatMap(({ type }) => (type === 'Webhook' ? [] : [type]));
  // The policies of ABAC are read once, as in the original.
  const abac = builtIn.includes('ABAC') ? abacMode(parts) : undefined;
  const make = (modes: readonly ConfiguredMode[]): AuthorizationMode[] =>
    modesOf(modes, parts, () => abac ?? lateMode('ABAC'));
  let used = first;
  const reload = new ConfigReload({
    ...parts,
    metrics: parts.registry,
    what: 'authorization',
    path,
    text,
    prepare(changed) {
      const next = fileModes(changed, builtIn);
      for (const { type } of next) if (needsStart(type) && !builtIn.includes(type)) lateMode(type);
      if (JSON.stringify(next) === JSON.stringify(used)) return () => false;
      const modes = make(next);
      return () => {
        used = next;
        parts.changed(modes);
        return true;
      };
    },
  });
  return { modes: make(first), reload };
}

/** What decides by something that is followed, or was read, since the start. */
function needsStart(type: ConfiguredMode['type']): type is 'ABAC' | 'Node' | 'RBAC' {
  return type === 'ABAC' || type === 'Node' || type === 'RBAC';
}

function lateMode(type: 'ABAC' | 'Node' | 'RBAC'): never {
  throw new Error(`authorizer type ${type} is not allowed if it was not enabled at initial server startup`);
}

/**
 * What a file says. @param required types that must be there: those that the server was started with
 *
 * @throws Error that names all that is wrong
 */
function fileModes(text: string, required: readonly BuiltInMode[]): ConfiguredMode[] {
  const modes = readAuthorizationConfig(text);
  const builtIn = modes.filter(({ type }) => type !== 'Webhook');
  const wrong = builtIn
    .filter(({ type, name }) => name !== type.toLowerCase())
    .map(({ type, name }) => `expected name ${type.toLowerCase()} for authorizer ${type} instead of ${name}`);
  const missing = required.filter((type) => !builtIn.some((mode) => mode.type === type)).sort();
  if (missing.length > 0) wrong.push(`missing required types: [${missing.join(' ')}]`);
  if (wrong.length > 0) throw new Error(wrong.length === 1 ? wrong[0] : `[${wrong.join(', ')}]`);
  return modes;
}

function modesOf(
  modes: readonly ConfiguredMode[],
  parts: AuthorizationParts,
  abac: () => AuthorizationMode,
): AuthorizationMode[] {
  return modes.map((mode) => {
    switch (mode.type) {
      case 'Webhook':
        return webhookMode(mode, parts);
      case 'ABAC':
        return abac();
      default:
        return mode.type;
    }
  });
}

function flagModes({ authorizationModes, authorizationWebhook }: AuthorizationFlags): ConfiguredMode[] {
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
