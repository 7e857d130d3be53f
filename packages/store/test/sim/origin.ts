/**
 * What a restored cluster begins with: the snapshot a client saved, and what the cluster it was saved of held then, by that one's
 * own history. All members of the new cluster are made of the file as an operator's tool makes them (N3).
 */
import { law, type Beginning, type History, type KeyValue } from '@keelson/sim';
import type { StateMachine } from '../../src/apply/state-machine.ts';

export class Origin {
  readonly image: Buffer;
  /** How far the revision is moved on. */
  readonly bumpRevision: number;
  private readonly before: History;
  private readonly idsBefore: ReadonlySet<bigint>;
  private found: Partial<Beginning> | undefined = undefined;

  constructor(image: Buffer, bumpRevision: number, before: History, idsBefore: ReadonlySet<bigint>) {
    this.image = image;
    this.bumpRevision = bumpRevision;
    this.before = before;
    this.idsBefore = idsBefore;
  }

  /** What history of the new cluster begins with; known when its first member runs. */
  get beginning(): Partial<Beginning> {
    return this.found ?? {};
  }

  /** A member of the new cluster has started. @returns whether it is the first. @throws LawBroken */
  check(memberId: bigint, { mvcc, lessor }: StateMachine): boolean {
    law('N3', !this.idsBefore.has(memberId), () => `member ${memberId.toString(16)} has its id of before`);
    if (this.found !== undefined) return false;
    const { currentRevision, compactRevision } = mvcc;
    const revision = currentRevision - this.bumpRevision;
    if (this.bumpRevision > 0)
      law(
        'N3',
        compactRevision >= revision,
        () => `compacted at ${compactRevision}, ${revision} and later are new`,
      );
    const kvs = keysAt(this.before, revision);
    const range = mvcc.range('\0', '\0');
    if (typeof range === 'string') throw new Error(`a range of now is ${range}`);
    const held = range.kvs.map((kv): KeyValue => ({
      key: kv.keyString,
      value: kv.value.toString('latin1'),
      create: kv.createRevision,
      mod: kv.modRevision,
      version: kv.version,
      ...(kv.lease !== 0n && { lease: kv.lease.toString(16) }),
    }));
    for (let i = 0; i < Math.max(held.length, kvs.length); i++)
      law(
        'N3',
        JSON.stringify(held[i]) === JSON.stringify(kvs[i]),
        () =>
          `restored at revision ${revision}: ${JSON.stringify(held[i])} instead of ${JSON.stringify(kvs[i])}`,
      );
    const leases = lessor
      .list()
      .map((id) => ({ id: id.toString(16), ttl: lessor.lookup(id)?.ttlSeconds ?? 0 }));
    const known = new Set(leases.map(({ id }) => id));
    for (const { key, lease } of kvs)
      law(
        'N3',
        lease === undefined || known.has(lease),
        () => `${key} has lease ${lease}, which is not there`,
      );
    this.found = { revision: currentRevision, compactRevision, kvs, leases };
    return true;
  }
}

/** By key, in order. */
function keysAt({ facts, beginning }: History, revision: number): KeyValue[] {
  const kvs = new Map((beginning.kvs ?? []).map((kv) => [kv.key, kv]));
  for (const fact of facts) {
    if (fact.type !== 'applied' || fact.revision > revision) continue;
    for (const { kind, kv } of fact.events)
      if (kind === 'put') kvs.set(kv.key, kv);
      else kvs.delete(kv.key);
  }
  return [...kvs.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}
