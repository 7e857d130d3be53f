/**
 * The second judge: Wing and Gong's search with Lowe's memo. It takes no revision's word for the order: any call that comes before
 * the first return may be next, and what has been tried from one set of done calls and one state is not tried again. A call
 * without an answer may be next at any time, or never; a lease's end is such a call. Exponential at worst, so that it gives up.
 *
 * The replay by revisions decides all that has them. This decides what has none, and checks the replay in tests.
 */
import type { Operation } from '../history/record.ts';
import type { KeyValue, LeaseId, TxnOpResponse } from '../history/request.ts';
import { difference } from './answer.ts';
import { operationText } from './describe.ts';
import {
  headerOf,
  isKeyRequest,
  isKeyResponse,
  isLocal,
  mayWrite,
  putsOf,
  type Filing,
  type KeyRequest,
} from './filing.ts';
import { KeySpace, leaseOf } from './key-space.ts';
import type { Findings } from './verdict.ts';

export interface SearchOptions {
  readonly base: number;
  readonly kvs: readonly KeyValue[];
  /** Revisions are not to be compared: neither headers nor those of keys. */
  readonly masked: boolean;
  /** States visited before it gives up. */
  readonly statesMax: number;
}

export type SearchResult = 'ok' | 'broken' | 'unknown';

/** A call that is to be placed, or a return that bounds it; linked in the order of time. */
class Entry {
  /** Position among the calls; -1: the head of the list. */
  readonly call: number;
  readonly returns: boolean;
  previous: Entry = this;
  next: Entry = this;

  constructor(call: number, returns: boolean) {
    this.call = call;
    this.returns = returns;
  }
}

interface Call {
  readonly operation: Operation | undefined;
  readonly lease: LeaseId | undefined;
  readonly called: number;
  /** Infinity: it need not have happened. */
  readonly returned: number;
}

export function searchOrder(operations: readonly Operation[], options: SearchOptions): SearchResult {
  const calls = callsOf(operations);
  return new Search(calls, options).run();
}

function callsOf(operations: readonly Operation[]): Call[] {
  const calls: Call[] = [];
  const leases = new Map<LeaseId, number>();
  for (const operation of operations) {
    const { request, outcome, called, returned = Infinity } = operation;
    if (outcome.kind === 'refused' || (!isKeyRequest(request) && request.kind !== 'leaseRevoke')) continue;
    if (outcome.kind === 'unknown' && !mayWrite(request)) continue;
    calls.push({
      operation,
      lease: undefined,
      called,
      returned: outcome.kind === 'ok' ? returned : Infinity,
    });
    for (const put of putsOf(request)) {
      const lease = leaseOf(put);
      if (lease !== undefined) leases.set(lease, Math.min(leases.get(lease) ?? Infinity, called));
    }
  }
  for (const [lease, called] of leases)
    calls.push({ operation: undefined, lease, called, returned: Infinity });
  return calls;
}

class Search {
  private readonly calls: readonly Call[];
  private readonly options: SearchOptions;
  private readonly space: KeySpace;
  private readonly head: Entry;
  private readonly entries: { call: Entry; end: Entry | undefined }[] = [];
  private readonly placed: Uint8Array;
  private readonly memo = new Set<string>();
  private open: number;

  constructor(calls: readonly Call[], options: SearchOptions) {
    this.calls = calls;
    this.options = options;
    this.space = new KeySpace(options.base, options.kvs);
    this.placed = new Uint8Array(calls.length);
    this.open = calls.filter(({ returned }) => returned !== Infinity).length;
    this.head = new Entry(-1, false);
    const sorted = calls
      .flatMap(({ called, returned }, index) => [
        { place: called, index, returns: false },
        ...(returned === Infinity ? [] : [{ place: returned, index, returns: true }]),
      ])
      .sort((a, b) => a.place - b.place);
    for (const call of calls) {
      const made = new Entry(this.entries.length, false);
      this.entries.push({
        call: made,
        end: call.returned === Infinity ? undefined : new Entry(this.entries.length, true),
      });
    }
    for (const { index, returns } of sorted) {
      const { call, end } = this.entries[index];
      link(this.head.previous, returns ? end! : call, this.head);
    }
  }

  run(): SearchResult {
    const stack: { readonly call: number; readonly revision: number }[] = [];
    let at = this.head.next;
    while (this.open > 0) {
      if (at === this.head || at.returns) {
        const last = stack.pop();
        if (last === undefined) return 'broken';
        this.lift(last.call, last.revision);
        at = this.entries[last.call].call.next;
        continue;
      }
      const { revision } = this.space;
      if (!this.step(this.calls[at.call])) {
        this.space.undoTo(revision);
        at = at.next;
        continue;
      }
      this.placed[at.call] = 1;
      const name = `${this.placed.join('')} ${this.space.revision} ${this.space.hash}`;
      if (this.memo.has(name)) {
        this.placed[at.call] = 0;
        this.space.undoTo(revision);
        at = at.next;
        continue;
      }
      if (this.memo.size >= this.options.statesMax) return 'unknown';
      this.memo.add(name);
      stack.push({ call: at.call, revision });
      this.drop(at.call);
      at = this.head.next;
    }
    return 'ok';
  }

  /** Takes a placed call out of the list. */
  private drop(index: number): void {
    const { call, end } = this.entries[index];
    unlink(call);
    if (end === undefined) return;
    unlink(end);
    this.open--;
  }

  private lift(index: number, revision: number): void {
    const { call, end } = this.entries[index];
    if (end !== undefined) {
      relink(end);
      this.open++;
    }
    relink(call);
    this.placed[index] = 0;
    this.space.undoTo(revision);
  }

  /** Whether the call can have taken effect now; the space has it then. */
  private step({ operation, lease, returned }: Call): boolean {
    if (operation === undefined) return this.space.endLease(lease ?? '0').length > 0;
    const { request, outcome } = operation;
    const header = this.options.masked ? 0 : headerOf(operation);
    if (request.kind === 'leaseRevoke') {
      const events = this.space.endLease(request.id);
      return returned === Infinity ? events.length > 0 : header === 0 || header === this.space.revision;
    }
    if (!isKeyRequest(request)) return true;
    if (returned === Infinity) return this.space.execute(request).events.length > 0;
    if (outcome.kind !== 'ok' || !isKeyResponse(outcome.response)) return false;
    const asked: KeyRequest =
      request.kind === 'range' && isLocal(request) && header > 0 && (request.revision ?? 0) === 0
        ? { ...request, revision: header }
        : request;
    if (isLocal(request) && header > this.space.revision) return false;
    const { response } = this.space.execute(asked);
    if (response === undefined) return false;
    if (header > 0 && !isLocal(request) && header !== this.space.revision) return false;
    const told = this.options.masked ? masked(outcome.response) : outcome.response;
    return difference(request, this.options.masked ? masked(response) : response, told) === undefined;
  }
}

function link(previous: Entry, made: Entry, next: Entry): void {
  made.previous = previous;
  made.next = next;
  previous.next = made;
  next.previous = made;
}

function unlink({ previous, next }: Entry): void {
  previous.next = next;
  next.previous = previous;
}

function relink(made: Entry): void {
  made.previous.next = made;
  made.next.previous = made;
}

/** An answer without its revisions. */
function masked(response: TxnOpResponse): TxnOpResponse {
  const bare = (kv: KeyValue): KeyValue => ({ ...kv, mod: 0, create: 0 });
  switch (response.kind) {
    case 'range':
      return { ...response, kvs: (response.kvs ?? []).map(bare) };
    case 'put':
      return response.prev === undefined ? response : { ...response, prev: bare(response.prev) };
    case 'delete':
      return { ...response, prevs: (response.prevs ?? []).map(bare) };
    case 'txn':
      return { ...response, responses: (response.responses ?? []).map(masked) };
  }
}

const STATES_MAX = 200_000;

/** Operations that were answered without a revision: the whole history is searched. @returns false: it gave up */
export function checkUnplaced({ history, unplaced, base }: Filing, findings: Findings): boolean {
  if (unplaced.length === 0) return true;
  findings.count('answers without a revision', unplaced.length);
  const options = { base, kvs: history.beginning.kvs ?? [], masked: true, statesMax: STATES_MAX };
  for (const [key, operations] of byKey(history.operations)) {
    // Each key by itself first: what is wrong with one is wrong with all, and is found soon.
    if (searchOrder(operations, options) !== 'broken') continue;
    findings.report('K1', `no order of the operations on ${JSON.stringify(key)} explains their answers`, () =>
      operations.slice(0, 12).map(operationText),
    );
    return true;
  }
  const result = searchOrder(history.operations, options);
  if (result === 'broken')
    findings.report(
      'K1',
      `no order explains the answers, of which ${unplaced.length} came without a revision`,
      () => unplaced.slice(0, 8).map(operationText),
    );
  if (result === 'unknown') findings.notes.push(`gave up the search for an order after ${STATES_MAX} states`);
  return result !== 'unknown';
}

/** Operations on one key each, where nothing ties keys together; else nothing. */
function byKey(operations: readonly Operation[]): ReadonlyMap<string, readonly Operation[]> {
  const keys = new Map<string, Operation[]>();
  for (const operation of operations) {
    const { request } = operation;
    if (!isKeyRequest(request)) continue;
    const single =
      request.kind === 'put' ||
      (request.kind !== 'txn' && (request.end ?? '') === '' && !('revision' in request));
    const leased = request.kind === 'put' && leaseOf(request) !== undefined;
    if (!single || leased) return new Map();
    keys.set(request.key, [...(keys.get(request.key) ?? []), operation]);
  }
  return keys;
}
