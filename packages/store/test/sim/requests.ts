/**
 * What clients ask: everything the API has about keys and leases, in random shapes over few keys, so that requests meet.
 * It knows what clients have seen (revisions, leases), and decides nothing about who asks when.
 */
import type { Prng } from '@keelson/base';
import type { Compare, RangeRequest, Request, TxnOp, TxnRequest } from '@keelson/sim';
import type { SimOptions } from './options.ts';

/** What all clients together have seen. */
export interface Knowledge {
  revision: number;
  /** In hex. */
  readonly leases: string[];
  /** Newest mod revision and value that somebody saw. */
  readonly seen: Map<string, { readonly mod: number; readonly value: string }>;
}

const LEASES_KEPT = 12;
/** How far from the newest a revision may be that is asked for. */
const REVISIONS_AROUND = 100;

export class Requests {
  readonly knowledge: Knowledge = { revision: 1, leases: [], seen: new Map() };
  private readonly options: SimOptions;
  private readonly prefix: string;
  private serial = 0;
  /** Of what was before it a history does not know. */
  private floor = 1;

  /** @param prefix of values: no two histories of one store have the same */
  constructor(options: SimOptions, prefix: string) {
    this.options = options;
    this.prefix = prefix;
  }

  /** A restored cluster begins at a revision. */
  began(revision: number): void {
    this.knowledge.revision = revision;
    this.floor = revision + 1;
  }

  learnLease(id: string): void {
    const { leases } = this.knowledge;
    leases.push(id);
    if (leases.length > LEASES_KEPT) leases.shift();
  }

  key(prng: Prng): string {
    return `k${String(prng.below(this.options.keys)).padStart(2, '0')}`;
  }

  /** Two keys in order, everything, or everything from a key on. */
  span(prng: Prng): { readonly key: string; readonly end: string } {
    const dice = prng.below(10);
    if (dice === 0) return { key: '\0', end: '\0' };
    if (dice === 1) return { key: this.key(prng), end: '\0' };
    if (dice < 5) return { key: 'k', end: 'l' };
    const [a, b] = [this.key(prng), this.key(prng)];
    return a < b ? { key: a, end: b } : b < a ? { key: b, end: a } : { key: a, end: `${a}\0` };
  }

  value(prng: Prng): string {
    const name = `${this.prefix}${this.serial++}`;
    const dice = prng.below(100);
    const large = 100 - this.options.largePercent;
    if (dice < large - 7) return name;
    if (dice < large) return name.padEnd(prng.between(100, 2000), '.');
    return name.padEnd(Math.min(this.options.requestBytesMax, 70_000), '.');
  }

  lease(prng: Prng): string {
    const { leases } = this.knowledge;
    return leases.length === 0 || prng.chance(1, 20) ? '7b' : prng.pick(leases);
  }

  around(prng: Prng): number {
    return Math.max(this.floor, this.knowledge.revision + prng.between(-REVISIONS_AROUND, REVISIONS_AROUND));
  }

  past(prng: Prng): number {
    return Math.max(this.floor, this.knowledge.revision - prng.below(30));
  }

  range(prng: Prng): RangeRequest {
    const single = prng.chance(1, 2);
    const key = single ? { key: this.key(prng) } : this.span(prng);
    const some = (): boolean => prng.chance(1, 6);
    return {
      kind: 'range',
      ...key,
      ...(prng.chance(1, 5) && { serializable: true }),
      ...(some() && { revision: prng.chance(1, 4) ? this.around(prng) : this.past(prng) }),
      ...(!single && some() && { limit: prng.between(1, 5) }),
      ...(!single && some() && { order: prng.pick(['ascend', 'descend'] as const) }),
      ...(!single && some() && { target: prng.pick(['key', 'version', 'create', 'mod', 'value'] as const) }),
      ...(some() && { keysOnly: true }),
      ...(!single && some() && { countOnly: true }),
      ...(!single && some() && { minMod: this.past(prng) }),
      ...(!single && some() && { maxMod: this.past(prng) }),
      ...(!single && some() && { minCreate: this.past(prng) }),
      ...(!single && some() && { maxCreate: this.past(prng) }),
    };
  }

  put(prng: Prng, withLease = prng.chance(1, 5)): Request & { readonly kind: 'put' } {
    const ignoreValue = prng.chance(1, 25);
    const ignoreLease = prng.chance(1, 25);
    return {
      kind: 'put',
      key: this.key(prng),
      value: ignoreValue ? '' : this.value(prng),
      ...(withLease && !ignoreLease && { lease: this.lease(prng) }),
      ...(prng.chance(1, 3) && { prevKv: true }),
      ...(ignoreValue && { ignoreValue: true }),
      ...(ignoreLease && { ignoreLease: true }),
    };
  }

  delete(prng: Prng): Request & { readonly kind: 'delete' } {
    const key = prng.chance(5, 6) ? { key: this.key(prng) } : this.span(prng);
    return { kind: 'delete', ...key, ...(prng.chance(1, 3) && { prevKv: true }) };
  }

  private compare(prng: Prng): Compare {
    const key = this.key(prng);
    const seen = this.knowledge.seen.get(key);
    const result = prng.pick(['equal', 'equal', 'greater', 'less', 'notEqual'] as const);
    const end = prng.chance(1, 8) ? { end: 'l' } : {};
    switch (prng.below(6)) {
      case 0:
        return { key, ...end, target: 'version', result, operand: prng.below(4) };
      case 1:
        return { key, ...end, target: 'create', result, operand: prng.chance(1, 2) ? 0 : this.past(prng) };
      case 2:
        return { key, ...end, target: 'value', result, operand: seen?.value ?? '' };
      case 3:
        return { key, ...end, target: 'lease', result, operand: prng.chance(1, 2) ? '0' : this.lease(prng) };
      default:
        return { key, ...end, target: 'mod', result, operand: seen?.mod ?? 0 };
    }
  }

  private ops(prng: Prng, depth: number, most: number): TxnOp[] {
    const written = new Set<string>();
    const ops: TxnOp[] = [];
    for (let i = prng.below(most + 1); i > 0; i--) {
      const dice = prng.below(10);
      if (dice < 3) {
        // What a txn reads at its own time only: a range with a revision of its own may be refused as a whole.
        const { revision: _, serializable: __, ...range } = this.range(prng);
        ops.push(prng.chance(1, 8) ? { ...range, revision: this.past(prng) } : range);
      } else if (dice < 8) {
        const put = this.put(prng);
        // The same key twice is refused; now and then it is asked for.
        if (written.has(put.key) && prng.chance(9, 10)) continue;
        written.add(put.key);
        ops.push(put);
      } else if (dice === 8 || depth === 0) ops.push(this.delete(prng));
      else ops.push(this.txn(prng, depth - 1));
    }
    return ops;
  }

  txn(prng: Prng, depth = prng.chance(1, 4) ? 2 : 0): TxnRequest {
    const most = prng.chance(1, 20) ? this.options.txnOpsMax + 1 : 4;
    return {
      kind: 'txn',
      ...(prng.chance(3, 4) && {
        compare: Array.from({ length: prng.between(1, 2) }, () => this.compare(prng)),
      }),
      // oxlint-disable-next-line unicorn/no-thenable -- a history's word for it
      then: this.ops(prng, depth, most),
      else: this.ops(prng, depth, 2),
    };
  }

  /** One key changed if nobody else has since it was seen. */
  cas(prng: Prng): TxnRequest {
    const key = this.key(prng);
    const mod = this.knowledge.seen.get(key)?.mod ?? 0;
    return {
      kind: 'txn',
      compare: [{ key, target: 'mod', result: 'equal', operand: mod }],
      // oxlint-disable-next-line unicorn/no-thenable -- a history's word for it
      then: [{ kind: 'put', key, value: this.value(prng) }],
      else: [{ kind: 'range', key }],
    };
  }

  /** Weights near those of etcd's robustness tests, plus what they lack. */
  any(prng: Prng): Request {
    const dice = prng.below(1000);
    if (dice < 250) return this.range(prng);
    if (dice < 550) return this.put(prng);
    if (dice < 620) return this.delete(prng);
    if (dice < 740) return this.txn(prng);
    if (dice < 810) return this.cas(prng);
    if (dice < 860) return { kind: 'leaseGrant', ttl: prng.between(1, 6) };
    if (dice < 880) return { kind: 'leaseRevoke', id: this.lease(prng) };
    if (dice < 930) return { kind: 'leaseKeepAlive', id: this.lease(prng) };
    if (dice < 950)
      return { kind: 'leaseTimeToLive', id: this.lease(prng), ...(prng.chance(1, 2) && { keys: true }) };
    if (dice < 960) return { kind: 'leaseLeases' };
    if (dice < 970) return { kind: 'hashKv', ...(prng.chance(1, 2) && { revision: this.past(prng) }) };
    if (dice < 980) return { kind: 'status' };
    if (dice < 990) return { kind: 'memberList' };
    return { kind: 'alarm', action: 'get' };
  }
}
