/** What goes wrong besides the network. */
import { Prng } from '@keelson/base';
import type { Cluster } from './cluster.ts';
import type { SimMember } from './member.ts';

export class Mischief {
  calm = false;
  private readonly cluster: Cluster;
  private readonly prng: Prng;

  constructor(cluster: Cluster, seed: number) {
    this.cluster = cluster;
    this.prng = new Prng(seed ^ 0xbad);
  }

  crashesHere(_member: SimMember): boolean {
    return false;
  }
}
