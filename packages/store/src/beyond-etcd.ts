/**
 * What the flags beyond etcd's add to a member, opened before its state and closed after its last answer: limits of
 * prefixes and the audit log. Without those flags there is none of it. It only joins.
 */
import { toError } from '@keelson/base';
import type { StateMachine } from './apply/state-machine.ts';
import { AuditLog } from './audit/audit-log.ts';
import { registerAudit } from './audit/audit-metrics.ts';
import type { ServerConfig } from './config/flag-table.ts';
import type { Schedule } from './consensus/schedule.ts';
import { FatalError } from './errors.ts';
import type { Registry } from './metrics/registry.ts';
import { PrefixLimitsSource } from './prefix-limits-source.ts';
import type { PrefixLimits } from './prefix-limits/prefix-limits.ts';
import { registerPrefixLimits } from './prefix-limits/prefix-metrics.ts';
import type { World } from './world.ts';

export class BeyondEtcd {
  /** --audit-log. */
  readonly auditLog: AuditLog | undefined;
  private readonly source: PrefixLimitsSource | undefined;

  /** @throws FatalError when what a flag names cannot be used */
  static async open(config: ServerConfig, world: World): Promise<BeyondEtcd> {
    const source = await PrefixLimitsSource.open(config, world);
    return new BeyondEtcd(source, await openAudit(config, world));
  }

  private constructor(source: PrefixLimitsSource | undefined, auditLog: AuditLog | undefined) {
    this.source = source;
    this.auditLog = auditLog;
  }

  /** --prefix-limits, --prefix-limits-file. */
  get prefixLimits(): PrefixLimits | undefined {
    return this.source?.limits;
  }

  register(registry: Registry): void {
    if (this.prefixLimits !== undefined) registerPrefixLimits(registry, this.prefixLimits);
    if (this.auditLog !== undefined) registerAudit(registry, this.auditLog);
  }

  /** From now on what changes by itself is followed. */
  run(schedule: Schedule, state: StateMachine, onError: (error: Error) => void): void {
    this.source?.run(schedule, state, onError);
  }

  /** As SIGHUP. */
  async reload(): Promise<void> {
    this.auditLog?.reopen();
    await this.source?.reload();
  }

  /** Never rejects. */
  async close(): Promise<void> {
    await this.auditLog?.close();
  }
}

async function openAudit(config: ServerConfig, world: World): Promise<AuditLog | undefined> {
  if (config.auditLog === '') return undefined;
  const { auditOutput, clock, logger } = world;
  if (auditOutput === undefined) throw new FatalError('there is no place for an audit log');
  try {
    return new AuditLog(await auditOutput(), config.auditLogMode, clock, logger);
  } catch (error) {
    throw new FatalError(`cannot open the audit log: ${toError(error).message}`, { cause: error });
  }
}
