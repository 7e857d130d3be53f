/**
 * Who looks after the machines: starts what ended, replaces what cannot start any more. It knows what an operator
 * knows: what he did, and what members print when they end.
 */
import { Prng } from '@keelson/base';
import type { Cluster } from './cluster.ts';
import type { SimMember } from './member.ts';

export class Operator {
  private readonly cluster: Cluster;
  private readonly prng: Prng;
  /** --initial-cluster of each member's first start, and whether it joined. */
  private readonly flags = new Map<SimMember, { readonly cluster: string; readonly joins: boolean }>();

  constructor(cluster: Cluster, seed: number) {
    this.cluster = cluster;
    this.prng = new Prng(seed ^ 0x09e2);
  }

  begin(): void {
    const { members } = this.cluster;
    const cluster = members.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join();
    for (const member of members) {
      this.flags.set(member, { cluster, joins: false });
      this.startIn(member, this.prng.below(500));
    }
  }

  startIn(member: SimMember, delayMs: number): void {
    this.cluster.scheduler.later(delayMs, 'operator starts', member.place, () => {
      const flags = this.flags.get(member);
      if (flags === undefined || member.phase !== 'down' || member.retired) return;
      member.start(flags.cluster, flags.joins);
    });
  }

  started(_member: SimMember): void {}

  elected(_member: SimMember): void {}

  /** Whether something that was done to it explains that a member ended, or did not start. */
  mayEnd(member: SimMember, _error: Error, _started: boolean): boolean {
    return member.damaged;
  }

  ended(member: SimMember, _error: Error, _started: boolean): void {
    this.startIn(member, 100 + this.prng.below(2000));
  }
}
