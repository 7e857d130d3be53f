/**
 * How long commands take to apply, by what they ask for. The applier has no clock, so its owner brackets a batch with
 * begin() and hands `observe` in: the time between two commands is the second one's. One clock reading a command.
 */
import { exponentialBuckets, type Counter, type Histogram } from './metric.ts';
import type { Labelled, Registry } from './registry.ts';

/** Commands by their field number in InternalRaftRequest, as etcd's label names them. */
const OPERATIONS: Readonly<Record<number, string>> = {
  4: 'Put',
  5: 'DeleteRange',
  6: 'Txn',
  7: 'Compaction',
  8: 'LeaseGrant',
  9: 'LeaseRevoke',
  10: 'Alarm',
  11: 'LeaseCheckpoint',
  1000: 'AuthEnable',
  1011: 'AuthDisable',
  1012: 'Authenticate',
  1013: 'AuthStatus',
  1100: 'UserAdd',
  1101: 'UserDelete',
  1102: 'UserGet',
  1103: 'UserChangePassword',
  1104: 'UserGrantRole',
  1105: 'UserRevokeRole',
  1106: 'UserList',
  1107: 'RoleList',
  1200: 'RoleAdd',
  1201: 'RoleDelete',
  1202: 'RoleGet',
  1203: 'RoleGrantPermission',
  1204: 'RoleRevokePermission',
  1300: 'ClusterVersionSet',
  1301: 'ClusterMemberAttrSet',
  1302: 'DowngradeInfoSet',
};

interface Pair {
  readonly succeeded: Histogram;
  readonly failed: Histogram;
}

export class ApplyMetrics {
  /** Commands that took longer than they should. */
  readonly slow: Counter;
  private readonly durations: Labelled<Histogram>;
  private readonly pairs = new Map<number, Pair>();
  private readonly monotonicMs: () => number;
  private readonly slowMs: number;
  private lastMs = 0;

  /** @param slowMs --warning-apply-duration */
  constructor(registry: Registry, monotonicMs: () => number, slowMs: number) {
    this.monotonicMs = monotonicMs;
    this.slowMs = slowMs;
    this.slow = registry.counter('etcd_server_slow_apply_total', 'Commands that took long to apply.');
    this.durations = registry.histograms(
      'etcd_server_apply_duration_seconds',
      'Applying commands, by kind and outcome.',
      ['version', 'op', 'success'],
      exponentialBuckets(0.0001, 2, 20),
    );
  }

  /** A batch of entries is about to be applied. */
  begin(): void {
    this.lastMs = this.monotonicMs();
  }

  /** A command of this kind has been applied. */
  readonly observe = (kind: number, succeeded: boolean): void => {
    const nowMs = this.monotonicMs();
    const elapsedMs = nowMs - this.lastMs;
    this.lastMs = nowMs;
    if (elapsedMs > this.slowMs) this.slow.add();
    const pair = this.pairs.get(kind) ?? this.pairOf(kind);
    (succeeded ? pair.succeeded : pair.failed).observe(elapsedMs / 1_000);
  };

  private pairOf(kind: number): Pair {
    const operation = OPERATIONS[kind] ?? 'unknown';
    // A series appears with its first observation: pairs are made of what is observed, the rest stays unlisted.
    const pair = new LazyPair(this.durations, operation);
    this.pairs.set(kind, pair);
    return pair;
  }
}

class LazyPair implements Pair {
  private readonly durations: Labelled<Histogram>;
  private readonly operation: string;
  private good: Histogram | undefined = undefined;
  private bad: Histogram | undefined = undefined;

  constructor(durations: Labelled<Histogram>, operation: string) {
    this.durations = durations;
    this.operation = operation;
  }

  get succeeded(): Histogram {
    this.good ??= this.durations.with('v3', this.operation, 'true');
    return this.good;
  }

  get failed(): Histogram {
    this.bad ??= this.durations.with('v3', this.operation, 'false');
    return this.bad;
  }
}
