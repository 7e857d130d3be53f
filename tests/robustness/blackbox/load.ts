/**
 * What clients do to a cluster under faults: reads of every kind, writes, transactions, leases that run out, compaction, upkeep,
 * and in some rounds users and roles that come and go. Some clients keep to one member, some ask any. Each decides by
 * dice of its own, so that a seed gives each the same wishes, whatever the others do; it waits after a failure, and repeats nothing.
 */
import { Prng } from '@keelson/base';
import type { Compare, HistoryRecorder, Request, Response, TxnOp, TxnRequest } from '@keelson/sim';
import { RecordingClient } from '../../harness/recording-client.ts';
import { ROOT } from './field.ts';
import type { Names } from '../../../packages/store/test/wire/calls.ts';
import { pause, waitUntil } from '../../harness/waiting.ts';

export interface LoadOptions {
  readonly recorder: HistoryRecorder;
  readonly names: Names;
  readonly members: readonly string[];
  readonly addressOf: (member: string) => string;
  readonly seed: number;
  readonly clients: number;
  /** Of each client, between two requests, ms. */
  readonly paceMs: number;
  readonly timeoutMs: number;
  /** Users and roles come and go. */
  readonly auth: boolean;
  /** A revision below which nothing is lost when it is compacted away: a watcher has been told of it. */
  readonly witnessed: () => number;
}

export const SHARED_KEYS = 10;
const LOAD_USER = 'load';
const GUEST = 'guest';
const AFTER_FAILURE_MS = 60;
const MINIMUM_TTL_SECONDS = 2;

const shared = (n: number): string => `k/${n}`;
const leased = (n: number): string => `l/${n}`;

/** @param otherwise what is done when the comparison fails */
export function transaction(
  compare: readonly Compare[],
  then: readonly TxnOp[],
  otherwise: readonly TxnOp[] = [],
): TxnRequest {
  // oxlint-disable-next-line unicorn/no-thenable -- etcd's own word, in data that nobody awaits
  return { kind: 'txn', compare, then, else: otherwise };
}

/** What one client remembers between its requests. */
class Memory {
  readonly mods = new Map<string, number>();
  readonly leases: string[] = [];
  writes = 0;
}

export class Load {
  private readonly options: LoadOptions;
  private readonly clients: RecordingClient[] = [];
  private readonly running: Promise<void>[] = [];
  private stopping = false;
  /** Largest revision that anybody was answered. */
  known = 1;
  compacted = 0;
  acknowledged = 0;
  private lastAckMs = performance.now();
  private longestGapMs = 0;

  constructor(options: LoadOptions) {
    this.options = options;
  }

  start(): void {
    const { clients, seed, members, auth } = this.options;
    const dice = new Prng(seed);
    for (let i = 0; i < clients; i++) {
      const prng = new Prng(dice.uint32());
      const pinned = i % 2 === 0 ? members[(i / 2) % members.length] : undefined;
      const client = this.client(i, i % 5 === 4 ? GUEST : LOAD_USER);
      this.running.push(this.run(client, prng, pinned));
    }
    this.running.push(this.upkeep(this.client(clients, ROOT), new Prng(dice.uint32())));
    if (auth) this.running.push(this.authChurn(this.client(clients + 1, ROOT), new Prng(dice.uint32())));
  }

  /** Another client of the same history, whose number no other has. It is closed with the load. */
  client(number: number, user: string): RecordingClient {
    const { recorder, names, addressOf, timeoutMs } = this.options;
    const client = new RecordingClient({ recorder, client: number, names, addressOf, timeoutMs, user });
    this.clients.push(client);
    return client;
  }

  /** Lets what is under way end, starts no more. */
  async stop(): Promise<void> {
    this.stopping = true;
    await Promise.all(this.running);
  }

  close(): void {
    for (const client of this.clients) client.close();
  }

  /** Until `count` more writes are acknowledged. */
  async acknowledgedMore(count: number, timeoutMs: number): Promise<void> {
    const target = this.acknowledged + count;
    await waitUntil(`${count} more writes are acknowledged`, { timeoutMs, everyMs: 10 }, () =>
      this.acknowledged >= target ? true : undefined,
    );
  }

  /** The longest time without an acknowledged write since this was asked last. */
  takeGapMs(): number {
    const gap = Math.max(this.longestGapMs, performance.now() - this.lastAckMs);
    this.longestGapMs = 0;
    this.lastAckMs = performance.now();
    return gap;
  }

  private async run(client: RecordingClient, prng: Prng, pinned: string | undefined): Promise<void> {
    const { members, paceMs } = this.options;
    const memory = new Memory();
    while (!this.stopping) {
      const request = this.wish(prng, memory, client.client);
      const response = await client.ask(pinned ?? prng.pick(members), request);
      if (response !== undefined) this.learn(request, response, memory);
      await pause(response === undefined ? AFTER_FAILURE_MS : paceMs / 2 + prng.below(paceMs));
    }
  }

  private learn(request: Request, response: Response, memory: Memory): void {
    const revision = response.revision ?? 0;
    if (request.kind !== 'leaseKeepAlive') this.known = Math.max(this.known, revision);
    if (response.kind === 'put' || response.kind === 'delete' || response.kind === 'txn') this.acknowledge();
    if (response.kind === 'range') for (const kv of response.kvs ?? []) memory.mods.set(kv.key, kv.mod);
    if (request.kind === 'put') memory.mods.set(request.key, revision);
    if (response.kind === 'leaseGrant') memory.leases.push(response.id);
    if (memory.leases.length > 6) memory.leases.shift();
  }

  private acknowledge(): void {
    const nowMs = performance.now();
    this.longestGapMs = Math.max(this.longestGapMs, nowMs - this.lastAckMs);
    this.lastAckMs = nowMs;
    this.acknowledged++;
  }

  /** Weights near those of etcd's own robustness tests, with what they lack beside them. */
  private wish(prng: Prng, memory: Memory, client: number): Request {
    const dice = prng.below(100);
    const value = `${client}.${memory.writes++}`;
    if (dice < 12) return { kind: 'range', key: shared(prng.below(SHARED_KEYS)) };
    if (dice < 20) return { kind: 'range', key: 'k/', end: 'k0' };
    if (dice < 24) return this.narrowed(prng);
    if (dice < 34) return this.stale(prng);
    if (dice < 56) return this.put(prng, value);
    if (dice < 61) return { kind: 'delete', key: shared(prng.below(SHARED_KEYS)), prevKv: prng.chance(1, 2) };
    if (dice < 62) return { kind: 'delete', key: 'k/', end: 'k/4', prevKv: prng.chance(1, 2) };
    if (dice < 72) return this.txn(prng, value);
    if (dice < 80) return this.swap(prng, memory, value);
    if (dice < 84) {
      return { kind: 'leaseGrant', ttl: prng.chance(3, 4) ? MINIMUM_TTL_SECONDS + prng.below(3) : 600 };
    }
    const lease = memory.leases.length === 0 ? undefined : prng.pick(memory.leases);
    if (lease === undefined) return this.put(prng, value);
    if (dice < 91) return { kind: 'put', key: leased(prng.below(SHARED_KEYS)), value, lease };
    if (dice < 96) return { kind: 'leaseKeepAlive', id: lease };
    if (dice < 98) return { kind: 'leaseTimeToLive', id: lease, keys: true };
    return { kind: 'leaseRevoke', id: lease };
  }

  private put(prng: Prng, value: string): Request {
    if (prng.chance(1, 3)) return { kind: 'put', key: `u/${value}`, value };
    return { kind: 'put', key: shared(prng.below(SHARED_KEYS)), value, prevKv: prng.chance(1, 2) };
  }

  private narrowed(prng: Prng): Request {
    return {
      kind: 'range',
      key: 'k/',
      end: '\0',
      limit: 1 + prng.below(5),
      order: prng.chance(1, 2) ? 'ascend' : 'descend',
      target: prng.pick(['key', 'version', 'create', 'mod', 'value'] as const),
      ...(prng.chance(1, 3) ? { minMod: Math.max(1, this.known - prng.below(100)) } : {}),
      ...(prng.chance(1, 4) ? { keysOnly: true } : {}),
      ...(prng.chance(1, 6) ? { countOnly: true } : {}),
    };
  }

  private stale(prng: Prng): Request {
    const revision = prng.chance(1, 2) ? Math.max(1, this.known - 60 + prng.below(70)) : 0;
    return {
      kind: 'range',
      key: 'k/',
      end: 'k0',
      ...(prng.chance(2, 3) ? { serializable: true } : {}),
      ...(revision > 0 ? { revision } : {}),
    };
  }

  private txn(prng: Prng, value: string): TxnRequest {
    const first = prng.below(SHARED_KEYS);
    const then: TxnOp[] = [
      { kind: 'put', key: shared(first), value, prevKv: prng.chance(1, 2) },
      { kind: 'put', key: shared((first + 1) % SHARED_KEYS), value },
      { kind: 'range', key: 'k/', end: 'k0' },
    ];
    if (prng.chance(1, 2))
      then.push({ kind: 'delete', key: shared((first + 2) % SHARED_KEYS), prevKv: true });
    if (prng.chance(1, 4)) then.push(this.nested(shared((first + 3) % SHARED_KEYS), value));
    return transaction([], then);
  }

  private nested(key: string, value: string): TxnRequest {
    return transaction(
      [{ key, target: 'create', result: 'greater', operand: 0 }],
      [{ kind: 'delete', key, prevKv: true }],
      [{ kind: 'put', key, value }],
    );
  }

  /** Puts what nobody has changed since it was read; else reads. */
  private swap(prng: Prng, memory: Memory, value: string): TxnRequest {
    const key = shared(prng.below(SHARED_KEYS));
    return transaction(
      [{ key, target: 'mod', result: 'equal', operand: memory.mods.get(key) ?? 0 }],
      [{ kind: 'put', key, value }],
      [{ kind: 'range', key }],
    );
  }

  /** Compaction all the time; now and then what an operator does. */
  private async upkeep(client: RecordingClient, prng: Prng): Promise<void> {
    const { members } = this.options;
    while (!this.stopping) {
      await pause(200 + prng.below(1200));
      const revision = Math.min(this.known - prng.below(150), this.options.witnessed());
      if (revision > this.compacted) {
        const done = await client.ask(prng.pick(members), {
          kind: 'compact',
          revision,
          physical: prng.chance(1, 4),
        });
        if (done !== undefined) this.compacted = revision;
      }
      if (prng.chance(1, 10)) await client.ask(prng.pick(members), { kind: 'defragment' }, 5000);
      if (prng.chance(1, 15)) {
        // Leases live longer under a new leader, as they do through a fault.
        this.options.recorder.fact({ type: 'fault', name: 'moveLeader' });
        await client.ask(prng.pick(members), { kind: 'moveLeader', to: prng.pick(members) });
      }
      if (prng.chance(1, 8)) await client.ask(prng.pick(members), { kind: 'leaseLeases' });
    }
  }

  /** Users, roles, and authentication itself, on and off. It is off in the end, or the end waits until it is. */
  private async authChurn(client: RecordingClient, prng: Prng): Promise<void> {
    const { members } = this.options;
    const ask = (request: Request): Promise<Response | undefined> => client.ask(prng.pick(members), request);
    for (const request of AUTH_SETUP) {
      // What was done by a request whose answer was lost is refused the second time.
      for (let tries = 0; tries < 3 && !this.stopping; tries++) if ((await ask(request)) !== undefined) break;
    }
    while (!this.stopping) {
      await pause(1000 + prng.below(2000));
      if ((await ask({ kind: 'authEnable' })) !== undefined) this.authenticate(true);
      for (let n = prng.below(4); n > 0 && !this.stopping; n--) {
        await pause(300 + prng.below(700));
        await ask(this.churn(prng));
      }
      if ((await ask({ kind: 'authDisable' })) !== undefined) this.authenticate(false);
    }
  }

  /** For the end of a round: whoever asks next needs no name. */
  async withoutAuth(member: string): Promise<void> {
    const client = this.client(this.options.clients + 2, ROOT);
    for (const on of [true, false]) {
      client.authenticate(on);
      await client.ask(member, { kind: 'authDisable' }, 5000);
    }
    this.authenticate(false);
  }

  private authenticate(on: boolean): void {
    for (const client of this.clients) client.authenticate(on);
  }

  private churn(prng: Prng): Request {
    const range = { key: 'k/', end: prng.chance(1, 2) ? 'k0' : 'k/5' };
    return prng.pick<Request>([
      { kind: 'userRevokeRole', user: GUEST, role: 'guests' },
      { kind: 'userGrantRole', user: GUEST, role: 'guests' },
      { kind: 'roleGrantPermission', role: 'guests', permission: 'readwrite', ...range },
      { kind: 'roleRevokePermission', role: 'guests', ...range },
    ]);
  }
}

const AUTH_SETUP: readonly Request[] = [
  { kind: 'userAdd', user: ROOT },
  { kind: 'userGrantRole', user: ROOT, role: 'root' },
  { kind: 'roleAdd', role: 'load' },
  { kind: 'roleGrantPermission', role: 'load', permission: 'readwrite', key: '\0', end: '\0' },
  { kind: 'userAdd', user: LOAD_USER },
  { kind: 'userGrantRole', user: LOAD_USER, role: 'load' },
  { kind: 'roleAdd', role: 'guests' },
  { kind: 'roleGrantPermission', role: 'guests', permission: 'read', key: 'k/', end: 'k0' },
  { kind: 'userAdd', user: GUEST },
  { kind: 'userGrantRole', user: GUEST, role: 'guests' },
];
