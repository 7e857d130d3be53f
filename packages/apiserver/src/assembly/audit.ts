/** Audit as a server has it: the policy, the backends its flags name, the stations on a request's way, what is counted. */

import type { Clock, Logger } from '@keelson/base';

import type { Filter } from '../api/exchange.ts';
import {
  makeBackend,
  union,
  type AuditBackend,
  type AuditObserver,
  type BackendOptions,
} from '../audit/backend.ts';
import { logSink, type LineWriter } from '../audit/log-sink.ts';
import { AuditPolicy } from '../audit/policy.ts';
import { RotatingFile } from '../audit/rotating-file.ts';
import { webhookSink } from '../audit/webhook-sink.ts';
import { audit, auditFailedAuthentication, type AuditOptions } from '../filters/audit.ts';
import { Counter, type MetricsRegistry } from '../metrics/registry.ts';
import type {
  AuditBackendConfig,
  AuditConfig,
  AuditLogConfig,
  AuditWebhookConfig,
} from '../options/audit-config.ts';
import type { ProgramRunner } from '../outbound/exec-credentials.ts';
import { HttpsCaller } from '../outbound/https-caller.ts';
import { postShown } from '../outbound/post-shown.ts';
import { readKubeconfig } from './review-caller.ts';

export interface AuditParts {
  readonly config: AuditConfig;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  /** A file's text. @throws Error that names it */
  readonly readFile: (path: string) => string;
  readonly programs: ProgramRunner;
  /** Standard output, where there is one. */
  readonly print: ((text: string) => void) | undefined;
}

export interface Audit {
  readonly filter: Filter;
  /** The station of authentication, with those written down that it refuses. */
  readonly around: (authenticate: Filter) => Filter;
  /** Writes what waits. */
  stop(): Promise<void>;
}

/** As long as the original waits for an answer of the webhook. */
const POST_MS = 30_000;

/**
 * @returns undefined where nothing is to be written
 * @throws Error for a file that cannot be used
 */
export function makeAudit(parts: AuditParts): Audit | undefined {
  const { config, clock, logger, metrics } = parts;
  if (config.log === undefined && config.webhook === undefined) return undefined;
  if (config.policyFile === '') {
    for (const [name, backend] of Object.entries({ log: config.log, webhook: config.webhook })) {
      if (backend !== undefined) {
        logger.warn(`No audit policy file provided, no events will be recorded for ${name} backend`);
      }
    }
    return undefined;
  }
  const policy = policyOf(config.policyFile, parts);
  const counters = makeCounters(metrics);
  const backends: AuditBackend[] = [];
  if (config.log !== undefined) backends.push(logBackend(config.log, parts, counters));
  if (config.webhook !== undefined) backends.push(webhookBackend(config.webhook, parts, counters));
  const backend = union(backends);
  const options: AuditOptions = { policy, backend, clock, observer: counters };
  return {
    filter: audit(options),
    around: (authenticate) => auditFailedAuthentication(options, authenticate),
    stop: () => backend.stop(),
  };
}

function policyOf(path: string, { readFile, logger }: AuditParts): AuditPolicy {
  try {
    return new AuditPolicy(readFile(path), (message) => logger.warn(message));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`loading audit policy file: ${why}`, { cause: error });
  }
}

type Counters = AuditObserver & AuditOptions['observer'];

function makeCounters(metrics: MetricsRegistry): Counters {
  const events = metrics.add(new Counter('apiserver_audit_event_total', 'Audit events that were made.'));
  const levels = metrics.add(
    new Counter('apiserver_audit_level_total', 'Requests by the level of their audit.', ['level']),
  );
  const rejected = metrics.add(
    new Counter(
      'apiserver_audit_requests_rejected_total',
      'Requests that were refused because their audit event could not be written.',
    ),
  );
  const errors = metrics.add(
    new Counter('apiserver_audit_error_total', 'Audit events that were not written.', ['plugin']),
  );
  return {
    event: () => events.add(),
    level: (level) => levels.add([level]),
    rejected: () => rejected.add(),
    failed: (plugin, count) => errors.add([plugin], count),
  };
}

function logBackend(config: AuditLogConfig, parts: AuditParts, observer: AuditObserver): AuditBackend {
  const { path, format, megabytesMax, daysMax, backupsMax, compress } = config;
  const { clock, logger, print } = parts;
  if (path === '-' && print === undefined) throw new Error('--audit-log-path=-: there is no standard output');
  const lines: LineWriter =
    path === '-' && print !== undefined
      ? { write: print, close: () => undefined }
      : new RotatingFile(path, {
          megabytesMax,
          daysMax,
          backupsMax,
          compress,
          nowMs: () => clock.nowMs(),
          warn: (message, error) => logger.warn(message, { error: String(error) }),
        });
  return makeBackend(logSink(lines, format), backendOptions('log', config, parts, observer));
}

/** @throws Error for a kubeconfig that names no server */
function webhookBackend(
  config: AuditWebhookConfig,
  parts: AuditParts,
  observer: AuditObserver,
): AuditBackend {
  const { clock } = parts;
  const { credentials, ...target } = readKubeconfig(config.configFile, parts).current();
  const caller = new HttpsCaller(clock);
  const stopping = new AbortController();
  const sink = webhookSink({
    post: async (body) => {
      const options = { timeoutMs: POST_MS, signal: stopping.signal };
      return (await postShown(caller, target, credentials, body, options)).code;
    },
    pause: (ms) =>
      new Promise((resolve) => {
        clock.setTimer(ms, resolve);
      }),
    firstPauseMs: config.firstPauseMs,
    close: () => caller.close(),
  });
  return makeBackend(sink, backendOptions('webhook', config, parts, observer));
}

function backendOptions(
  name: string,
  { mode, batch, truncate }: AuditBackendConfig,
  { clock, logger }: AuditParts,
  observer: AuditObserver,
): BackendOptions {
  return { name, mode, batch, truncate, clock, logger, observer };
}
