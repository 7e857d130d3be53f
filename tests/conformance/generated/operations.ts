/**
 * Single operations drawn from a generator: of every service and option, valid ones and those that must be
 * refused, on few keys so that they meet. Each gives a step that both sides take alike.
 */
import type { Prng } from '@keelson/base';
import { etcdserverpb as pb, services } from '@keelson/proto';
import {
  bytes,
  compare,
  del,
  put,
  range,
  txn,
  type Op,
  type PutFields,
  type RangeFields,
} from '../api-call.ts';
import type { Session } from './session.ts';

export interface Step {
  /** For the table of outcomes: "KV.Put". */
  readonly rpc: string;
  /** For whoever reads a difference. */
  readonly text: string;
  /** Marks what a known difference is about. */
  readonly traits: ReadonlySet<string>;
  run(session: Session): Promise<object>;
}

const { SortOrder, SortTarget, CompareResult, CompareTarget, FilterType } = pb;
const { KV, Lease } = services;
/** Keys that meet each other, and ends that cut between them. */
export const KEYS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((key) => `g/${key}`);
export const ENDS = ['g/c', 'g/f', 'g0', '\0', 'g/', 'g/\xff'];
const LEASES = 6;
/** More than any run takes. */
const TTL_SECONDS = 1_000_000;
/** Refused as a request; refused by the transport. */
const TOO_LARGE_BYTES = 1_600_000;
const BEYOND_TRANSPORT_BYTES = 2_200_000;

export function step(rpc: string, text: string, run: Step['run'], ...traits: readonly string[]): Step {
  return { rpc, text, run, traits: new Set(traits) };
}

/** Readable, and complete but for large values. */
export function show(request: object): string {
  return JSON.stringify(request, (_key, value: unknown) => {
    if (typeof value === 'bigint') return `${value}n`;
    if (typeof value === 'string') return value.length > 60 ? `${value.length} letters` : value;
    if (isBufferJson(value)) {
      return value.data.length > 60
        ? `${value.data.length} bytes`
        : Buffer.from(value.data).toString('latin1');
    }
    return value === 0 || value === false || value === '' ? undefined : value;
  });
}

function isBufferJson(value: unknown): value is { data: number[] } {
  return typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer';
}

/** What is drawn, once; both sides get the same. A revision is an offset from the side's newest. */
export class Operations {
  private readonly prng: Prng;
  /** Whose token goes with a call; undefined for none. */
  user: string | undefined = undefined;
  /** etcd 3.4 forgets permissions in some places: those are not asked as a limited user. */
  limited = false;

  constructor(prng: Prng) {
    this.prng = prng;
  }

  private one(numerator: number, denominator: number): boolean {
    return this.prng.chance(numerator, denominator);
  }

  private key(): string {
    return this.one(1, 60) ? this.prng.pick(['', '\0', 'g/\xff\xff', 'other']) : this.prng.pick(KEYS);
  }

  private end(): string {
    return this.one(2, 3) ? '' : this.prng.pick(ENDS);
  }

  private value(): string {
    if (this.one(1, 400)) return 'x'.repeat(this.prng.pick([TOO_LARGE_BYTES, BEYOND_TRANSPORT_BYTES]));
    return this.one(1, 12) ? '' : `v${this.prng.below(10)}`;
  }

  private lease(): bigint {
    return this.one(1, 12) ? 424_242n : BigInt(this.prng.between(1, LEASES));
  }

  /** Undefined for "the newest". */
  private offset(): number | undefined {
    if (this.one(2, 3)) return undefined;
    return this.one(1, 10) ? this.prng.between(1, 3) : -this.prng.below(this.one(1, 2) ? 6 : 60);
  }

  private rangeFields(): { fields: RangeFields; offset: number | undefined } {
    const sorted = this.one(1, 4);
    const window = (chance: number): number => (this.one(1, chance) ? this.prng.below(400) : 0);
    const fields: RangeFields = {
      key: this.key(),
      rangeEnd: this.end(),
      ...(this.one(1, 5) ? { limit: this.prng.between(-1, 4) } : {}),
      ...(this.one(1, 6) ? { countOnly: true } : {}),
      ...(this.one(1, 6) ? { keysOnly: true } : {}),
      ...(this.one(1, 4) ? { serializable: true } : {}),
      ...(sorted
        ? {
            sortOrder: this.prng.pick(Object.values(SortOrder)),
            sortTarget: this.prng.pick(Object.values(SortTarget)),
          }
        : {}),
      minModRevision: window(15),
      maxModRevision: window(15),
      minCreateRevision: window(15),
      maxCreateRevision: window(15),
    };
    return { fields, offset: this.offset() };
  }

  private putFields(): PutFields {
    const ignoreValue = this.one(1, 12);
    const ignoreLease = this.one(1, 12);
    return {
      key: this.key(),
      value: ignoreValue && !this.one(1, 6) ? '' : this.value(),
      ...(this.one(1, 4) && (!ignoreLease || this.one(1, 5)) ? { lease: this.lease() } : {}),
      ...(this.one(1, 4) ? { prevKv: true } : {}),
      ignoreValue,
      ignoreLease,
    };
  }

  private deleteFields(): { key: string; rangeEnd: string; prevKv: boolean } {
    return { key: this.key(), rangeEnd: this.end(), prevKv: this.one(1, 3) };
  }

  put(): Step {
    const fields = this.putFields();
    const { user } = this;
    return step('KV.Put', show(fields), (s) => s.call(KV.methods.put, put(fields), user));
  }

  range(): Step {
    const { fields, offset } = this.rangeFields();
    const { user } = this;
    const request = (s: Session): pb.RangeRequest =>
      range({ ...fields, revision: offset === undefined ? 0 : Math.max(s.rev(offset), -1) });
    return step(
      'KV.Range',
      `${show(fields)} at ${offset ?? 'newest'}`,
      (s) => s.call(KV.methods.range, request(s), user),
      ...(fields.keysOnly === true ? ['keys only'] : []),
    );
  }

  deleteRange(): Step {
    const fields = this.deleteFields();
    const { user } = this;
    return step('KV.DeleteRange', show(fields), (s) => s.call(KV.methods.deleteRange, del(fields), user));
  }

  txn(): Step {
    const { user } = this;
    const drawn = this.txnRequest(0);
    return step(
      'KV.Txn',
      show(drawn.request),
      (s) => s.call(KV.methods.txn, drawn.request, user),
      ...(drawn.keysOnly ? ['keys only'] : []),
    );
  }

  private txnRequest(depth: number): { request: pb.TxnRequest; keysOnly: boolean } {
    let keysOnly = false;
    const op = (): Op => {
      const dice = this.prng.below(100);
      if (dice < 40) {
        const fields = this.putFields();
        return put(this.limited ? { ...fields, prevKv: false, lease: 0n } : fields);
      }
      if (dice < 65) {
        const { fields } = this.rangeFields();
        keysOnly ||= fields.keysOnly === true;
        return range(fields);
      }
      if (dice < 85) {
        const fields = this.deleteFields();
        // To etcd such a range does not overlap the puts beside it: one that keeps what was deleted ends the server.
        if (fields.rangeEnd === '\0') fields.rangeEnd = 'g0';
        if (this.limited) fields.prevKv = false;
        return del(fields);
      }
      if (depth < 2 && !this.limited) {
        const inner = this.txnRequest(depth + 1);
        keysOnly ||= inner.keysOnly;
        return inner.request;
      }
      return range({ key: this.key() });
    };
    const some = (most: number): Op[] => Array.from({ length: this.prng.below(most + 1) }, op);
    const compares = Array.from({ length: this.prng.below(3) }, () => this.compare());
    const request = this.one(1, 150)
      ? txn(
          compares,
          Array.from({ length: 129 }, (_, i) => put({ key: `g/many${i}`, value: 'v' })),
        )
      : txn(compares, some(4), some(3));
    return { request, keysOnly };
  }

  private compare(): pb.Compare {
    const target = this.prng.pick(Object.values(CompareTarget));
    const small = this.prng.below(4);
    return compare({
      key: this.key(),
      rangeEnd: this.one(1, 5) ? this.prng.pick(ENDS) : '',
      result: this.prng.pick(Object.values(CompareResult)),
      target,
      ...(target === CompareTarget.VERSION ? { version: small } : {}),
      ...(target === CompareTarget.CREATE
        ? { createRevision: this.one(1, 2) ? 0 : this.prng.below(500) }
        : {}),
      ...(target === CompareTarget.MOD ? { modRevision: this.one(1, 2) ? 0 : this.prng.below(500) } : {}),
      ...(target === CompareTarget.VALUE ? { value: `v${this.prng.below(10)}` } : {}),
      ...(target === CompareTarget.LEASE ? { lease: BigInt(this.prng.below(4)) } : {}),
    });
  }

  compact(): Step {
    const offset = this.one(1, 6) ? this.prng.between(1, 2) : -this.prng.below(30);
    const physical = this.one(1, 2);
    const { user } = this;
    return step(
      'KV.Compact',
      `${offset} physical ${physical}`,
      async (s) => {
        const revision = s.rev(offset);
        const request = new pb.CompactionRequest({ revision, physical });
        const response = await s.call(KV.methods.compact, request, user);
        s.compacted.add(revision);
        return response;
      },
      'settle',
    );
  }

  leaseGrant(): Step {
    const TTL = this.one(1, 8) ? 9_000_000_001 : TTL_SECONDS + this.prng.below(1000);
    const ID = BigInt(this.prng.between(1, LEASES));
    const { user } = this;
    return step('Lease.LeaseGrant', `${ID} for ${TTL}`, (s) =>
      s.call(Lease.methods.leaseGrant, new pb.LeaseGrantRequest({ ID, TTL }), user),
    );
  }

  leaseRevoke(): Step {
    const ID = this.lease();
    const { user } = this;
    return step('Lease.LeaseRevoke', `${ID}`, (s) =>
      s.call(Lease.methods.leaseRevoke, new pb.LeaseRevokeRequest({ ID }), user),
    );
  }

  leaseTimeToLive(): Step {
    const ID = this.lease();
    const keys = this.one(2, 3);
    const { user } = this;
    return step('Lease.LeaseTimeToLive', `${ID} keys ${keys}`, async (s) => {
      const request = new pb.LeaseTimeToLiveRequest({ ID, keys });
      const response = await s.call(Lease.methods.leaseTimeToLive, request, user);
      response.keys.sort((a, b) => a.compare(b));
      if (response.TTL > TTL_SECONDS / 2) response.TTL = TTL_SECONDS;
      return response;
    });
  }

  leaseLeases(): Step {
    const { user } = this;
    return step('Lease.LeaseLeases', '', async (s) => {
      const response = await s.call(Lease.methods.leaseLeases, new pb.LeaseLeasesRequest(), user);
      response.leases.sort((a, b) => (a.ID < b.ID ? -1 : 1));
      return response;
    });
  }

  leaseKeepAlive(): Step {
    const ID = this.lease();
    return step('Lease.LeaseKeepAlive', `${ID}`, async (s) => {
      const stream = s.api.channel.bidi(Lease.methods.leaseKeepAlive);
      stream.write(new pb.LeaseKeepAliveRequest({ ID }));
      try {
        for await (const response of stream) return response;
        return { ended: true };
      } finally {
        stream.cancel();
      }
    });
  }

  watchCreate(): Step {
    const stream = this.prng.below(2);
    const watchId = this.one(1, 2) ? BigInt(this.prng.between(1, 3)) : 0n;
    const offset = this.one(1, 2)
      ? undefined
      : this.one(1, 8)
        ? this.prng.between(1, 3)
        : -this.prng.below(40);
    const filters = [FilterType.NOPUT, FilterType.NODELETE].filter(() => this.one(1, 6));
    const fields = {
      key: bytes(this.prng.pick(KEYS)),
      rangeEnd: bytes(this.end()),
      watchId,
      filters,
      prevKv: this.one(1, 3),
    };
    const { user } = this;
    const run = async (s: Session): Promise<object> => {
      const startRevision = offset === undefined ? 0 : Math.max(s.rev(offset), 1);
      const watch = s.watch(stream, user);
      const before = watch.answers;
      watch.create({ ...fields, startRevision });
      await watch.answered(before + 1);
      return {};
    };
    const text = `stream ${stream} ${show(fields)} from ${offset ?? 'now'}`;
    return step('Watch.Create', text, run, ...(offset === undefined ? [] : ['from the past']));
  }

  watchCancel(): Step {
    const stream = this.prng.below(2);
    const watchId = BigInt(this.prng.below(4));
    const run = async (s: Session): Promise<object> => {
      const watch = s.watches.get(stream);
      if (watch === undefined || !watch.has(watchId)) return { open: false };
      const before = watch.answers;
      watch.cancel(watchId);
      await watch.answered(before + 1);
      return { open: true };
    };
    return step('Watch.Cancel', `stream ${stream} watch ${watchId}`, run, 'settle');
  }
}
