/** The flags of audit, read and checked: where events go, how they are gathered, when a file is put aside. */

import type { FlagValues } from './flags.ts';

export type AuditMode = 'batch' | 'blocking' | 'blocking-strict';

/** What both backends have. */
export interface AuditBackendConfig {
  readonly mode: AuditMode;
  readonly batch: {
    readonly bufferMax: number;
    readonly sizeMax: number;
    readonly waitMs: number;
    readonly throttle: { readonly perSecond: number; readonly burst: number } | undefined;
  };
  readonly truncate: { readonly eventBytesMax: number; readonly batchBytesMax: number } | undefined;
}

export interface AuditLogConfig extends AuditBackendConfig {
  /** `-`: standard output. */
  readonly path: string;
  readonly format: 'json' | 'legacy';
  /** 0: as the rotation has it. */
  readonly megabytesMax: number;
  readonly daysMax: number;
  readonly backupsMax: number;
  readonly compress: boolean;
}

export interface AuditWebhookConfig extends AuditBackendConfig {
  /** A kubeconfig. */
  readonly configFile: string;
  readonly firstPauseMs: number;
}

export interface AuditConfig {
  /** Empty: nothing is written. */
  readonly policyFile: string;
  readonly log: AuditLogConfig | undefined;
  readonly webhook: AuditWebhookConfig | undefined;
}

const MODES: readonly AuditMode[] = ['batch', 'blocking', 'blocking-strict'];
const FORMATS = ['legacy', 'json'] as const;

export function auditConfigOf(values: FlagValues): AuditConfig {
  const path = values.string('audit-log-path');
  const configFile = values.string('audit-webhook-config-file');
  return {
    policyFile: values.string('audit-policy-file'),
    log:
      path === ''
        ? undefined
        : {
            ...backendOf(values, 'log'),
            path,
            format: values.string('audit-log-format') === 'legacy' ? 'legacy' : 'json',
            megabytesMax: values.int('audit-log-maxsize'),
            daysMax: values.int('audit-log-maxage'),
            backupsMax: values.int('audit-log-maxbackup'),
            compress: values.bool('audit-log-compress'),
          },
    webhook:
      configFile === ''
        ? undefined
        : {
            ...backendOf(values, 'webhook'),
            configFile,
            firstPauseMs: values.durationMs(
              values.changed('audit-webhook-batch-initial-backoff')
                ? 'audit-webhook-batch-initial-backoff'
                : 'audit-webhook-initial-backoff',
            ),
          },
  };
}

/** What is wrong with them, in the original's words. */
export function auditContradictions(values: FlagValues): string[] {
  const found: string[] = [];
  for (const kind of ['log', 'webhook'] as const) {
    if (values.string(kind === 'log' ? 'audit-log-path' : 'audit-webhook-config-file') === '') continue;
    const name = (rest: string): string => `audit-${kind}-${rest}`;
    const mode = values.string(name('mode'));
    if (!MODES.some((known) => known === mode)) {
      found.push(`invalid audit ${kind} mode ${mode}, allowed modes are ${JSON.stringify(MODES.join(','))}`);
    } else if (mode === 'batch') {
      const buffer = values.int(name('batch-buffer-size'));
      const size = values.int(name('batch-max-size'));
      if (buffer <= 0)
        found.push(`invalid audit batch ${kind} buffer size ${buffer}, must be a positive number`);
      if (size <= 0)
        found.push(`invalid audit batch ${kind} max batch size ${size}, must be a positive number`);
    }
    const version = values.string(name('version'));
    if (version !== 'audit.k8s.io/v1') {
      found.push(`invalid audit ${kind} version ${version}, allowed version is audit.k8s.io/v1`);
    }
  }
  const format = values.string('audit-log-format');
  if (values.string('audit-log-path') !== '' && !FORMATS.some((known) => known === format)) {
    found.push(`invalid audit log format ${format}, allowed formats are "legacy,json"`);
  }
  for (const name of ['audit-log-maxage', 'audit-log-maxbackup', 'audit-log-maxsize']) {
    if (values.int(name) < 0) found.push(`--${name} ${values.int(name)} can't be a negative number`);
  }
  return found;
}

function backendOf(values: FlagValues, kind: 'log' | 'webhook'): AuditBackendConfig {
  const name = (rest: string): string => `audit-${kind}-${rest}`;
  const mode = values.string(name('mode'));
  return {
    mode: MODES.find((known) => known === mode) ?? 'blocking',
    batch: {
      bufferMax: values.int(name('batch-buffer-size')),
      sizeMax: values.int(name('batch-max-size')),
      waitMs: values.durationMs(name('batch-max-wait')),
      throttle: values.bool(name('batch-throttle-enable'))
        ? {
            perSecond: Number(values.string(name('batch-throttle-qps'))),
            burst: values.int(name('batch-throttle-burst')),
          }
        : undefined,
    },
    truncate: values.bool(name('truncate-enabled'))
      ? {
          eventBytesMax: values.int(name('truncate-max-event-size')),
          batchBytesMax: values.int(name('truncate-max-batch-size')),
        }
      : undefined,
  };
}
