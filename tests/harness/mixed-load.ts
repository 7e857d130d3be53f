/**
 * Concurrent clients that write and read all the time, at whichever members run: puts, compare-and-swap, deletes, leases
 * granted, kept alive and revoked, linearizable and serializable reads. Every request is kept with what is
 * known of its outcome, and none is made twice. Whether the answers were right is `judgement.ts`'s to say.
 */
import { Prng } from '@keelson/base';
import { etcdserverpb as pb, services, type mvccpb } from '@keelson/proto';
import { certainlyRefused, type Outcome } from './ledger.ts';
import { heldOf, type Held } from './history.ts';
import type { MemberApi } from './member-api.ts';
import { pause, waitUntil } from './waiting.ts';

/** What a write does when it takes effect. */
export type Change =
  | { readonly kind: 'put'; readonly key: string; readonly value: string; readonly lease: bigint }
  /** All of these keys that are there; they are all that its range can hold. */
  | { readonly kind: 'delete'; readonly keys: readonly string[] };

export interface Operation {
  readonly id: number;
  /** `read`: linearizable; `local`: serializable, as old as the member is behind. */
  readonly kind: 'put' | 'swap' | 'delete' | 'revoke' | 'read' | 'local';
  /** The largest revision that anybody had been answered when this was sent. */
  readonly known: number;
  readonly changes: readonly Change[];
  /** Of a swap: takes effect only while the key is at this revision; 0: while it is not there. */
  readonly compare?: { readonly key: string; readonly modRevision: number };
  /** Of a revocation. */
  readonly lease?: bigint;
  outcome: Outcome;
  /** Of the answer's header. */
  revision: number;
  /** Of a swap that was answered. */
  succeeded?: boolean;
  /** What the answer said of these keys. */
  told?: {
    readonly when: 'before' | 'after';
    readonly of: readonly (readonly [key: string, held: Held | undefined])[];
  };
}

export interface LeaseRecord {
  readonly id: bigint;
  readonly ttlSeconds: number;
  /** It may not be over before, by the monotonic clock. */
  aliveUntilMs: number;
  /** Somebody has asked for its end. */
  revoked: boolean;
  gone: boolean;
}

export interface MixedLoadOptions {
  /** Members to ask, at each request. Not empty. */
  readonly apis: () => readonly MemberApi[];
  readonly seed: number;
  readonly clients: number;
  /** A request that takes longer has an unknown outcome. */
  readonly timeoutMs: number;
  /** Between two requests of a client, ms. */
  readonly paceMs: number;
}

export const LOAD_PREFIX = 'members/';
const GROUPS = 6;
const GROUP_KEYS = 8;
/** The shortest that an etcd grants with the default election timeout. */
const SHORT_TTL_SECONDS = 2;
const LONG_TTL_SECONDS = 6000;
const AFTER_FAILURE_MS = 20;
const KV = services.KV.methods;
const LEASE = services.Lease.methods;

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const shared = (group: number, n: number): string => `${LOAD_PREFIX}shared/${group}/${n}`;

export class MixedLoad {
  readonly operations: Operation[] = [];
  readonly leases = new Map<bigint, LeaseRecord>();
  /** Promises broken that only the moment shows. */
  readonly broken: string[] = [];
  /** Error texts and how often each was met. */
  readonly errors = new Map<string, number>();
  private readonly options: MixedLoadOptions;
  private readonly prng: Prng;
  private readonly running: Promise<void>[] = [];
  private readonly lastSeen = new Map<string, number>();
  private known = 0;
  private acknowledged = 0;
  private lastAckMs = performance.now();
  private longestGapMs = 0;
  private stopping = false;

  constructor(options: MixedLoadOptions) {
    this.options = options;
    this.prng = new Prng(options.seed);
  }

  start(): void {
    for (let client = 0; client < this.options.clients; client++) this.running.push(this.client());
  }

  /** Lets what is under way end, starts no more. */
  async stop(): Promise<void> {
    this.stopping = true;
    await Promise.all(this.running);
  }

  /** Until `count` more writes are acknowledged. */
  async acknowledgedMore(count: number, timeoutMs = 60_000): Promise<void> {
    const target = this.acknowledged + count;
    await waitUntil(`${count} more writes are acknowledged`, { timeoutMs, everyMs: 10 }, () =>
      this.acknowledged >= target ? true : undefined,
    );
  }

  /** The longest time without an acknowledgement since this was asked last. */
  takeGapMs(): number {
    const gap = Math.max(this.longestGapMs, performance.now() - this.lastAckMs);
    this.longestGapMs = 0;
    return gap;
  }

  describe(): string {
    const count = (outcome: Outcome): number => this.operations.filter((o) => o.outcome === outcome).length;
    const errors = [...this.errors].map(([text, n]) => `${n} × "${text}"`).join(', ');
    return `${count('acknowledged')} answered, ${count('refused')} refused, ${count('unknown')} unknown${errors === '' ? '' : `; errors: ${errors}`}`;
  }

  private async client(): Promise<void> {
    const { apis, paceMs } = this.options;
    while (!this.stopping) {
      const ok = await this.one(this.prng.pick(apis()));
      await pause(ok ? paceMs : AFTER_FAILURE_MS);
    }
  }

  /** @returns whether it was answered */
  private one(api: MemberApi): Promise<boolean> {
    const dice = this.prng.below(100);
    if (dice < 32) return this.put(api);
    if (dice < 58) return this.swap(api);
    if (dice < 70) return this.delete(api);
    if (dice < 82) return this.read(api, 'read');
    if (dice < 88) return this.read(api, 'local');
    if (dice < 93) return this.grant(api);
    if (dice < 97) return this.keepAlive(api);
    return this.revoke(api);
  }

  private file(kind: Operation['kind'], rest: Partial<Operation> = {}): Operation {
    const operation: Operation = {
      id: this.operations.length,
      kind,
      known: this.known,
      changes: [],
      outcome: 'unknown',
      revision: 0,
      ...rest,
    };
    this.operations.push(operation);
    return operation;
  }

  /** Makes the call and files how it ended. `answer` completes the operation. */
  private async settle<T extends { readonly header: pb.ResponseHeader | undefined }>(
    operation: Operation,
    call: Promise<T>,
    answer: (response: T) => void,
  ): Promise<boolean> {
    try {
      const response = await call;
      operation.outcome = 'acknowledged';
      operation.revision = response.header?.revision ?? 0;
      answer(response);
      this.known = Math.max(this.known, operation.revision);
      if (operation.changes.length > 0 && operation.succeeded !== false) this.acknowledge();
      return true;
    } catch (error) {
      this.note(error);
      operation.outcome = certainlyRefused(error) ? 'refused' : 'unknown';
      return false;
    }
  }

  private acknowledge(): void {
    const nowMs = performance.now();
    this.longestGapMs = Math.max(this.longestGapMs, nowMs - this.lastAckMs);
    this.lastAckMs = nowMs;
    this.acknowledged++;
  }

  private note(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    const text = message.replace(/\d+\.\d+\.\d+\.\d+:\d+/g, 'HOST').replace(/ Resolution note: $/, '');
    this.errors.set(text, (this.errors.get(text) ?? 0) + 1);
  }

  private anyShared(): string {
    return shared(this.prng.below(GROUPS), this.prng.below(GROUP_KEYS));
  }

  /** Now and then `longest`, so that responses of watches come in parts. */
  private value(id: number, longest: number): string {
    const length = this.prng.chance(1, 20) ? longest : this.prng.below(300);
    return `#${id}#`.padEnd(length, '.');
  }

  /** Of a lease that should live on; 0n: none. */
  private anyLease(): bigint {
    if (!this.prng.chance(1, 3)) return 0n;
    const alive = [...this.leases.values()].filter((lease) => !lease.revoked && !lease.gone);
    return alive.length === 0 ? 0n : this.prng.pick(alive).id;
  }

  private put(api: MemberApi): Promise<boolean> {
    const id = this.operations.length;
    const key = this.prng.chance(1, 2) ? this.anyShared() : `${LOAD_PREFIX}own/${id}`;
    const value = this.value(id, 12_000);
    const lease = this.anyLease();
    const operation = this.file('put', { changes: [{ kind: 'put', key, value, lease }] });
    const request = new pb.PutRequest({ key: bytes(key), value: bytes(value), lease, prevKv: true });
    return this.settle(operation, api.call(KV.put, request, this.limit), ({ header, prevKv }) => {
      operation.told = { when: 'before', of: [[key, held(prevKv)]] };
      this.lastSeen.set(key, header?.revision ?? 0);
    });
  }

  /** Two keys put and one deleted if the first is as it was last seen; else it is read. */
  private swap(api: MemberApi): Promise<boolean> {
    const id = this.operations.length;
    const key = this.anyShared();
    const beside = `${LOAD_PREFIX}own/${id}`;
    let victim = this.anyShared();
    while (victim === key) victim = this.anyShared();
    const value = this.value(id, 3000);
    const modRevision = this.lastSeen.get(key) ?? 0;
    const operation = this.file('swap', {
      compare: { key, modRevision },
      changes: [
        { kind: 'put', key, value, lease: 0n },
        { kind: 'put', key: beside, value, lease: 0n },
        ...(this.prng.chance(1, 4) ? [{ kind: 'delete' as const, keys: [victim] }] : []),
      ],
    });
    const request = new pb.TxnRequest({
      compare: [
        new pb.Compare({
          key: bytes(key),
          target: pb.CompareTarget.MOD,
          result: pb.CompareResult.EQUAL,
          modRevision,
        }),
      ],
      success: operation.changes.map((change) =>
        change.kind === 'put'
          ? new pb.RequestOp({
              requestPut: new pb.PutRequest({ key: bytes(change.key), value: bytes(value), prevKv: true }),
            })
          : new pb.RequestOp({
              requestDeleteRange: new pb.DeleteRangeRequest({ key: bytes(change.keys[0]), prevKv: true }),
            }),
      ),
      failure: [new pb.RequestOp({ requestRange: new pb.RangeRequest({ key: bytes(key) }) })],
    });
    return this.settle(operation, api.call(KV.txn, request, this.limit), (response) => {
      operation.succeeded = response.succeeded;
      const [first, second, third] = response.responses;
      if (!response.succeeded) {
        const found = held(first?.responseRange?.kvs[0]);
        operation.told = { when: 'after', of: [[key, found]] };
        this.lastSeen.set(key, found?.modRevision ?? 0);
        return;
      }
      const of: [string, Held | undefined][] = [
        [key, held(first?.responsePut?.prevKv)],
        [beside, held(second?.responsePut?.prevKv)],
      ];
      if (operation.changes.length > 2) of.push([victim, held(third?.responseDeleteRange?.prevKvs[0])]);
      operation.told = { when: 'before', of };
      this.lastSeen.set(key, response.header?.revision ?? 0);
    });
  }

  /** One shared key, or a group of them. */
  private delete(api: MemberApi): Promise<boolean> {
    const group = this.prng.below(GROUPS);
    const whole = this.prng.chance(1, 4);
    const keys = whole
      ? Array.from({ length: GROUP_KEYS }, (_, n) => shared(group, n))
      : [shared(group, this.prng.below(GROUP_KEYS))];
    const operation = this.file('delete', { changes: [{ kind: 'delete', keys }] });
    const request = new pb.DeleteRangeRequest({
      key: bytes(keys[0]),
      rangeEnd: whole ? bytes(shared(group, GROUP_KEYS)) : Buffer.alloc(0),
      prevKv: true,
    });
    return this.settle(operation, api.call(KV.deleteRange, request, this.limit), ({ prevKvs, deleted }) => {
      const found = new Map(prevKvs.map((kv) => [kv.key.toString('latin1'), heldOf(kv)]));
      operation.told = { when: 'before', of: keys.map((key) => [key, found.get(key)]) };
      if (found.size !== deleted) this.broken.push(`a delete of ${deleted} keys told ${found.size}`);
    });
  }

  private read(api: MemberApi, kind: 'read' | 'local'): Promise<boolean> {
    const group = this.prng.below(GROUPS);
    const operation = this.file(kind);
    const request = new pb.RangeRequest({
      key: bytes(shared(group, 0)),
      rangeEnd: bytes(shared(group, GROUP_KEYS)),
      serializable: kind === 'local',
    });
    return this.settle(operation, api.call(KV.range, request, this.limit), ({ kvs }) => {
      const found = new Map(kvs.map((kv) => [kv.key.toString('latin1'), heldOf(kv)]));
      const keys = Array.from({ length: GROUP_KEYS }, (_, n) => shared(group, n));
      operation.told = { when: 'after', of: keys.map((key) => [key, found.get(key)]) };
    });
  }

  private async grant(api: MemberApi): Promise<boolean> {
    const TTL = this.prng.chance(1, 2) ? SHORT_TTL_SECONDS : LONG_TTL_SECONDS;
    const sentMs = performance.now();
    try {
      const answer = await api.call(LEASE.leaseGrant, new pb.LeaseGrantRequest({ TTL }), this.limit);
      this.leases.set(answer.ID, {
        id: answer.ID,
        ttlSeconds: answer.TTL,
        aliveUntilMs: sentMs + answer.TTL * 1000,
        revoked: false,
        gone: false,
      });
      return true;
    } catch (error) {
      this.note(error);
      return false;
    }
  }

  private async keepAlive(api: MemberApi): Promise<boolean> {
    const alive = [...this.leases.values()].filter((lease) => !lease.revoked && !lease.gone);
    if (alive.length === 0) return true;
    const lease = this.prng.pick(alive);
    const until = lease.aliveUntilMs;
    const sentMs = performance.now();
    const stream = api.channel.bidi(LEASE.leaseKeepAlive, this.limit);
    stream.write(new pb.LeaseKeepAliveRequest({ ID: lease.id }));
    try {
      for await (const { TTL } of stream) {
        if (TTL > 0) lease.aliveUntilMs = Math.max(lease.aliveUntilMs, sentMs + TTL * 1000);
        else {
          if (performance.now() < until && !lease.revoked)
            this.broken.push(
              `lease ${lease.id.toString(16)} of ${lease.ttlSeconds} s was over ${(until - performance.now()).toFixed(0)} ms early`,
            );
          lease.gone = true;
        }
        return true;
      }
    } catch (error) {
      this.note(error);
    }
    return false;
  }

  private async revoke(api: MemberApi): Promise<boolean> {
    const alive = [...this.leases.values()].filter((lease) => !lease.revoked && !lease.gone);
    if (alive.length < 4) return true;
    const lease = this.prng.pick(alive);
    lease.revoked = true;
    const operation = this.file('revoke', { lease: lease.id });
    const request = new pb.LeaseRevokeRequest({ ID: lease.id });
    return this.settle(operation, api.call(LEASE.leaseRevoke, request, this.limit), () => {
      lease.gone = true;
    });
  }

  private get limit(): { readonly timeoutMs: number } {
    return { timeoutMs: this.options.timeoutMs };
  }
}

function held(kv: mvccpb.KeyValue | undefined): Held | undefined {
  return kv === undefined ? undefined : heldOf(kv);
}
