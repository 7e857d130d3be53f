/**
 * Histories that are right by construction, for tests of the checker: a store that does one thing at a time, asked by clients that
 * do many. A request takes effect somewhere between its call and its return; some are never answered, done or not;
 * members lag behind for local reads and watches; leases run out; the store is compacted.
 */
import { Prng } from '@keelson/base';
import { HistoryRecorder, type PendingOperation } from '../../src/history/recorder.ts';
import type { History, WatchEvent } from '../../src/history/record.ts';
import type { KeyValue, LeaseId, Request, Response, TxnOp } from '../../src/history/request.ts';
import { KeySpace, leaseOf } from '../../src/checker/key-space.ts';
import { covers } from '../../src/checker/range-model.ts';

export interface GoodHistoryOptions {
  readonly seed: number;
  readonly operations: number;
  readonly clients?: number;
  readonly keys?: number;
  /** Of a hundred operations, so many are not answered. */
  readonly unknownPercent?: number;
  readonly watches?: number;
  readonly leases?: boolean;
  readonly compactions?: boolean;
  /** Ranges, limits, sorts, nested transactions; else single keys. */
  readonly wide?: boolean;
}

const MEMBERS = ['a', 'b', 'c'];

interface Flight {
  readonly pending: PendingOperation;
  readonly request: Request;
  readonly member: number;
  readonly lost: boolean;
  answer: Response | 'refused' | undefined;
  refusal: string;
}

interface Viewer {
  readonly watch: number;
  readonly stream: number;
  readonly member: number;
  readonly key: string;
  readonly end: string;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  readonly prevKv: boolean;
  readonly fragment: boolean;
  readonly start: number;
  next: number;
  created: boolean;
  over: boolean;
}

export function goodHistory(options: GoodHistoryOptions): History {
  return new Store(options).run();
}

class Store {
  private readonly options: Required<GoodHistoryOptions>;
  private readonly prng: Prng;
  private readonly recorder: HistoryRecorder;
  private readonly space = new KeySpace(1, []);
  private readonly applied = [1, 1, 1];
  private readonly flights: (Flight | undefined)[];
  private readonly leases = new Map<LeaseId, { ttl: number; endMs: number }>();
  private readonly leaseIds: LeaseId[] = [];
  private readonly viewers: Viewer[] = [];
  private compacted = -1;
  private ms = 0;
  private values = 0;
  private started = 0;

  constructor(options: GoodHistoryOptions) {
    this.options = {
      clients: 5,
      keys: 6,
      unknownPercent: 5,
      watches: 3,
      leases: true,
      compactions: true,
      wide: true,
      ...options,
    };
    this.prng = new Prng(options.seed);
    this.recorder = new HistoryRecorder({
      nowMs: () => this.ms,
      beginning: { name: `good ${options.seed}` },
    });
    this.flights = Array.from({ length: this.options.clients }, () => undefined);
  }

  run(): History {
    const { prng } = this;
    while (this.started < this.options.operations || this.flights.some((flight) => flight !== undefined)) {
      this.ms += prng.below(20);
      this.expire();
      const client = prng.below(this.flights.length);
      const flight = this.flights[client];
      if (flight === undefined) {
        if (this.started < this.options.operations) this.start(client);
      } else if (flight.answer === undefined && !(flight.lost && prng.chance(1, 2))) this.apply(flight);
      else this.finish(client, flight);
      const member = prng.below(MEMBERS.length);
      if (prng.chance(1, 2)) this.applied[member] = this.space.revision;
      if (this.viewers.length < this.options.watches && prng.chance(1, 10)) this.view();
      if (this.viewers.length > 0) this.tell(prng.pick(this.viewers));
    }
    this.applied.fill(this.space.revision);
    for (const viewer of [...this.viewers]) {
      while (!viewer.over && (!viewer.created || viewer.next <= this.space.revision)) this.tell(viewer);
    }
    this.recorder.fact({ type: 'settled', revision: this.space.revision });
    return this.recorder.finish();
  }

  private start(client: number): void {
    this.started++;
    const member = this.prng.below(MEMBERS.length);
    const request = this.request();
    const lost = this.prng.below(100) < this.options.unknownPercent;
    const pending = this.recorder.call({ client, member: MEMBERS[member] }, request);
    this.flights[client] = { pending, request, member, lost, answer: undefined, refusal: '' };
  }

  private finish(client: number, flight: Flight): void {
    this.flights[client] = undefined;
    if (flight.lost || flight.answer === undefined)
      flight.pending.failed('Unavailable', 'etcdserver: request timed out');
    else if (flight.answer === 'refused') flight.pending.failed('InvalidArgument', flight.refusal);
    else flight.pending.ok(flight.answer);
  }

  private apply(flight: Flight): void {
    const { request } = flight;
    const refuse = (text: string): void => {
      flight.answer = 'refused';
      flight.refusal = text;
    };
    switch (request.kind) {
      case 'leaseGrant': {
        const id = (0x1000 + this.leaseIds.length).toString(16);
        this.leaseIds.push(id);
        this.leases.set(id, { ttl: request.ttl, endMs: this.ms + request.ttl * 1000 });
        flight.answer = { kind: 'leaseGrant', id, ttl: request.ttl, revision: this.space.revision };
        return;
      }
      case 'leaseKeepAlive': {
        const lease = this.leases.get(request.id);
        if (lease !== undefined) lease.endMs = this.ms + lease.ttl * 1000;
        flight.answer = { kind: 'leaseKeepAlive', ttl: lease?.ttl ?? 0, revision: this.space.revision };
        return;
      }
      case 'leaseRevoke':
        if (!this.leases.delete(request.id)) {
          refuse('etcdserver: requested lease not found');
          return;
        }
        this.space.endLease(request.id);
        flight.answer = { kind: 'leaseRevoke', revision: this.space.revision };
        return;
      case 'compact':
        if (request.revision <= this.compacted || request.revision > this.space.revision) {
          refuse('etcdserver: mvcc: required revision has been compacted');
          return;
        }
        this.compacted = request.revision;
        flight.answer = { kind: 'compact', revision: this.space.revision };
        return;
      case 'range':
      case 'put':
      case 'delete':
      case 'txn':
        this.applyKeys(flight, request, refuse);
        return;
      default:
        throw new Error(`no ${request.kind} here`);
    }
  }

  private applyKeys(flight: Flight, request: TxnOp, refuse: (text: string) => void): void {
    if (request.kind === 'put') {
      const lease = leaseOf(request);
      if (lease !== undefined && !this.leases.has(lease)) {
        refuse('etcdserver: requested lease not found');
        return;
      }
    }
    const local = request.kind === 'range' && request.serializable === true;
    const revision = local ? this.applied[flight.member] : this.space.revision;
    const asked = request.kind === 'range' ? (request.revision ?? 0) : 0;
    if (asked > revision) {
      refuse('etcdserver: mvcc: required revision is a future revision');
      return;
    }
    if (asked > 0 && asked < this.compacted) {
      refuse('etcdserver: mvcc: required revision has been compacted');
      return;
    }
    if (!local) this.applied[flight.member] = Math.max(this.applied[flight.member], revision);
    const { response, refusal } = this.space.execute(
      local && asked === 0 ? { ...request, revision } : request,
    );
    if (response === undefined) refuse(`etcdserver: ${refusal}`);
    else flight.answer = { ...response, revision: local ? revision : this.space.revision };
    if (!local) this.applied[flight.member] = this.space.revision;
    if (
      flight.answer !== 'refused' &&
      flight.answer?.kind === 'range' &&
      request.kind === 'range' &&
      request.keysOnly === true
    )
      flight.answer = {
        ...flight.answer,
        kvs: (flight.answer.kvs ?? []).map((kv) => ({ ...kv, value: '' })),
      };
  }

  private expire(): void {
    for (const [id, lease] of this.leases) {
      if (lease.endMs >= this.ms || this.prng.chance(1, 2)) continue;
      this.leases.delete(id);
      this.space.endLease(id);
    }
  }

  private key(): string {
    return `k${this.prng.below(this.options.keys)}`;
  }

  private request(): Request {
    const { prng, options } = this;
    const dice = prng.below(100);
    if (options.leases && dice < 4) return { kind: 'leaseGrant', ttl: prng.between(1, 3) };
    if (options.leases && dice < 8 && this.leaseIds.length > 0)
      return { kind: prng.chance(1, 2) ? 'leaseKeepAlive' : 'leaseRevoke', id: prng.pick(this.leaseIds) };
    if (options.compactions && dice < 10)
      return { kind: 'compact', revision: Math.max(1, this.space.revision - prng.below(4)) };
    if (dice < 16 && options.wide) return this.txn(2);
    if (dice < 28) return this.txn(1);
    return this.keyRequest(dice < 62 ? 'put' : dice < 72 ? 'delete' : 'range');
  }

  private keyRequest(kind: 'put' | 'delete' | 'range'): TxnOp {
    const { prng, options } = this;
    const key = this.key();
    const wide =
      options.wide && prng.chance(1, 3) ? { end: prng.pick(['\0', `k${prng.below(9)}`, 'k9']) } : {};
    if (kind === 'delete') return { kind, key, ...wide, prevKv: prng.chance(1, 2) };
    if (kind === 'put') {
      const lease =
        options.leases && this.leaseIds.length > 0 && prng.chance(1, 4) ? prng.pick(this.leaseIds) : '0';
      return {
        kind,
        key,
        value: `#${this.values++}`,
        prevKv: prng.chance(1, 2),
        ...(lease === '0' ? {} : { lease }),
      };
    }
    if (!options.wide) return { kind, key };
    return {
      kind,
      key,
      ...wide,
      ...(prng.chance(1, 4) ? { serializable: true } : {}),
      ...(prng.chance(1, 5) ? { revision: prng.between(1, this.space.revision) } : {}),
      ...(prng.chance(1, 5) ? { limit: prng.between(1, 3) } : {}),
      ...(prng.chance(1, 5)
        ? {
            order: prng.pick(['ascend', 'descend'] as const),
            target: prng.pick(['key', 'version', 'create', 'mod', 'value'] as const),
          }
        : {}),
      ...(prng.chance(1, 8) ? { keysOnly: true } : {}),
      ...(prng.chance(1, 8) ? { countOnly: true } : {}),
      ...(prng.chance(1, 8) ? { minMod: prng.between(1, this.space.revision) } : {}),
    };
  }

  private txn(depth: number, nested = false): TxnOp {
    const { prng } = this;
    const key = this.key();
    const now = this.space.get(key);
    const ops = (): TxnOp[] => {
      const first = this.keyRequest(nested ? 'range' : prng.pick(['put', 'range'] as const));
      // A key is put once in a transaction, nested ones included.
      const second: TxnOp = { kind: 'put', key: depth > 1 ? 'beside' : 'aside', value: `#${this.values++}` };
      const bare: TxnOp =
        first.kind === 'put'
          ? { kind: 'put', key: first.key, value: first.value, prevKv: true }
          : { kind: 'range', key: first.kind === 'txn' ? 'k0' : first.key };
      return depth > 1 && prng.chance(1, 2)
        ? [bare, this.txn(depth - 1, true)]
        : [bare, ...(prng.chance(1, 2) ? [second] : [])];
    };
    return {
      kind: 'txn',
      compare: [
        { key, target: 'mod', result: 'equal', operand: prng.chance(1, 2) ? (now?.mod ?? 0) : prng.below(9) },
      ],
      // oxlint-disable-next-line unicorn/no-thenable -- etcdctl's own word, in data that nobody awaits
      then: ops(),
      else: prng.chance(1, 2) ? [{ kind: 'range', key }] : ops(),
    };
  }

  private view(): void {
    const { prng } = this;
    const member = prng.below(MEMBERS.length);
    const start = prng.chance(1, 2) ? prng.between(1, this.space.revision + 3) : 0;
    const everything = prng.chance(1, 2);
    const shape = {
      key: everything ? '\0' : this.key(),
      end: everything ? '\0' : prng.chance(1, 2) ? 'k9' : '',
      noPut: prng.chance(1, 8),
      noDelete: prng.chance(1, 8),
      prevKv: prng.chance(1, 2),
      fragment: prng.chance(1, 3),
    };
    const stream = this.recorder.stream();
    const watch = this.recorder.watch({ client: 100, member: MEMBERS[member] }, stream, { ...shape, start });
    this.viewers.push({ watch, stream, member, ...shape, start, next: start, created: false, over: false });
  }

  private tell(viewer: Viewer): void {
    if (viewer.over) return;
    const { watch, stream } = viewer;
    const revision = this.applied[viewer.member];
    if (!viewer.created) {
      viewer.created = true;
      if (viewer.next === 0) viewer.next = revision + 1;
      this.recorder.watchResponse({ watch, stream, revision, created: true });
      return;
    }
    if (viewer.next < this.compacted) {
      viewer.over = true;
      // Another one takes its place.
      this.viewers.splice(this.viewers.indexOf(viewer), 1);
      this.recorder.watchResponse({
        watch,
        stream,
        revision,
        canceled: true,
        compactRevision: this.compacted,
      });
      return;
    }
    const events: WatchEvent[] = [];
    const from = viewer.next;
    while (viewer.next <= revision && events.length < 3) {
      for (const event of this.space.eventsAt(viewer.next))
        if (wants(viewer, event)) events.push(this.shown(viewer, event));
      viewer.next++;
    }
    if (events.length === 0) {
      const told = viewer.next === revision + 1 && from <= revision + 1 && revision >= viewer.start;
      if (told && this.prng.chance(1, 5)) this.recorder.watchResponse({ watch, stream, revision });
      return;
    }
    if (viewer.fragment && events.length > 1) {
      this.recorder.watchResponse({ watch, stream, revision, fragment: true, events: events.slice(0, 1) });
      this.recorder.watchResponse({ watch, stream, revision, events: events.slice(1) });
    } else this.recorder.watchResponse({ watch, stream, revision, events });
  }

  private shown(viewer: Viewer, { kind, kv, prev }: WatchEvent): WatchEvent {
    const told: KeyValue | undefined = viewer.prevKv && kv.mod > this.compacted ? prev : undefined;
    return told === undefined ? { kind, kv } : { kind, kv, prev: told };
  }
}

function wants({ key, end, noPut, noDelete }: Viewer, { kind, kv }: WatchEvent): boolean {
  return !(kind === 'put' ? noPut : noDelete) && covers(key, end, kv.key);
}
