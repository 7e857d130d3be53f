/** Clients. */
import { Prng } from '@keelson/base';
import { etcdserverpb, services } from '@keelson/proto';
import type { Cluster } from './cluster.ts';
import { Connection } from './connection.ts';
import type { Life } from './life.ts';
import type { SimMember } from './member.ts';

export class Clients {
  private readonly cluster: Cluster;
  private readonly prng: Prng;
  constructor(cluster: Cluster, seed: number) {
    this.cluster = cluster;
    this.prng = new Prng(seed ^ 0xc11e);
  }
  n = 0;
  ready(member: SimMember): void {
    const { cluster } = this;
    const c = new Connection(cluster, cluster.wires, member, 100);
    const again = (): void => {
      c.call(
        services.KV.methods.put,
        new etcdserverpb.PutRequest({ key: Buffer.from('k'), value: Buffer.from(`${this.n++}`) }),
        { token: undefined, timeoutMs: 5000, tellsTimeout: false, cancelAfterMs: undefined },
        (_a, e) => {
          cluster.count(e === undefined ? 'ok' : `e ${e.message}`);
          cluster.scheduler.later(1 + this.prng.below(50), 'c', 100, again);
        },
      );
    };
    again();
  }
  gone(_life: Life): void {}
}
