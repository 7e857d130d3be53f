/** Small lies put into good histories, as a faulty store might tell them, and what each was. */
import type { Prng } from '@keelson/base';
import type {
  History,
  Operation,
  Outcome,
  WatchEvent,
  WatchRecord,
  WatchResponse,
} from '../../src/history/record.ts';
import type { KeyValue, Response } from '../../src/history/request.ts';

export interface Mutation {
  readonly what: string;
  readonly history: History;
}

type Change = (history: History, prng: Prng) => Mutation | undefined;

/** One lie; undefined where the history has nothing to tell it about. */
export function mutate(
  history: History,
  prng: Prng,
  kinds: readonly string[] = Object.keys(CHANGES),
): Mutation | undefined {
  const kind = prng.pick(kinds);
  const mutation = CHANGES[kind]?.(history, prng);
  return mutation === undefined ? undefined : { what: mutation.what, history: renumbered(mutation.history) };
}

/** Places are counted again: a lie may have put something between two of them. */
function renumbered(history: History): History {
  const { operations, watches, facts } = history;
  const places = [
    ...operations.flatMap(({ called, returned }) => (returned === undefined ? [called] : [called, returned])),
    ...watches.map((record) => (record.type === 'watch' ? record.called : record.seq)),
    ...facts.map(({ seq }) => seq),
  ].sort((a, b) => a - b);
  const rank = new Map(places.map((place, index) => [place, index]));
  const at = (place: number): number => rank.get(place) ?? 0;
  return {
    beginning: history.beginning,
    operations: operations.map((operation) => ({
      ...operation,
      called: at(operation.called),
      ...(operation.returned === undefined ? {} : { returned: at(operation.returned) }),
    })),
    watches: watches.map((record) =>
      record.type === 'watch' ? { ...record, called: at(record.called) } : { ...record, seq: at(record.seq) },
    ),
    facts: facts.map((fact) => ({ ...fact, seq: at(fact.seq) })),
  };
}

const answered = ({ operations }: History): Operation[] =>
  operations.filter(({ outcome }) => outcome.kind === 'ok');

function replaceOperation(history: History, id: number, change: Partial<Operation>): History {
  const operations = history.operations.map((operation) =>
    operation.id === id ? { ...operation, ...change } : operation,
  );
  return { ...history, operations };
}

function respond(history: History, operation: Operation, response: Response, what: string): Mutation {
  const outcome: Outcome = { kind: 'ok', response };
  return { what: `#${operation.id}: ${what}`, history: replaceOperation(history, operation.id, { outcome }) };
}

function responseOf({ outcome }: Operation): Response | undefined {
  return outcome.kind === 'ok' ? outcome.response : undefined;
}

/** The first key an answer tells, replaced. */
function withKv(response: Response, change: (kv: KeyValue) => KeyValue | undefined): Response | undefined {
  if (response.kind === 'range' && (response.kvs?.length ?? 0) > 0) {
    const [first, ...rest] = response.kvs ?? [];
    const changed = change(first);
    return { ...response, kvs: changed === undefined ? rest : [changed, ...rest] };
  }
  if (response.kind === 'put' && response.prev !== undefined) {
    const { prev, ...rest } = response;
    const changed = change(prev);
    return changed === undefined ? rest : { ...rest, prev: changed };
  }
  return undefined;
}

const CHANGES: Readonly<Record<string, Change>> = {
  revision(history, prng) {
    const operation = prng.pick(answered(history));
    const response = responseOf(operation)!;
    const by = prng.pick([-1, 1, 2, -3]);
    if ((response.revision ?? 0) + by < 1) return undefined;
    return respond(
      history,
      operation,
      { ...response, revision: (response.revision ?? 0) + by },
      `revision ${by}`,
    );
  },
  field(history, prng) {
    const operation = prng.pick(answered(history));
    const field = prng.pick(['mod', 'create', 'version'] as const);
    const response = withKv(responseOf(operation)!, (kv) => ({ ...kv, [field]: kv[field] + 1 }));
    return response && respond(history, operation, response, `${field} of a key + 1`);
  },
  value(history, prng) {
    const operation = prng.pick(answered(history));
    const other = `#${prng.below(20)}`;
    const response = withKv(responseOf(operation)!, (kv) =>
      kv.value === other ? undefined : { ...kv, value: other },
    );
    return response && respond(history, operation, response, `a value is ${other}`);
  },
  missing(history, prng) {
    const operation = prng.pick(answered(history));
    const response = withKv(responseOf(operation)!, () => undefined);
    return response && respond(history, operation, response, 'a key is missing');
  },
  swap(history, prng) {
    const [one, other] = [prng.pick(answered(history)), prng.pick(answered(history))];
    if (
      one.id === other.id ||
      one.request.kind !== other.request.kind ||
      JSON.stringify(one.outcome) === JSON.stringify(other.outcome)
    )
      return undefined;
    const first = replaceOperation(history, one.id, { outcome: other.outcome });
    return {
      what: `the answers of #${one.id} and #${other.id} swapped`,
      history: replaceOperation(first, other.id, { outcome: one.outcome }),
    };
  },
  succeeded(history, prng) {
    const operation = prng.pick(answered(history));
    const response = responseOf(operation)!;
    if (response.kind !== 'txn') return undefined;
    return respond(
      history,
      operation,
      { ...response, succeeded: response.succeeded !== true },
      'the other branch',
    );
  },
  count(history, prng) {
    const operation = prng.pick(answered(history));
    const response = responseOf(operation)!;
    if (response.kind === 'range')
      return respond(history, operation, { ...response, count: (response.count ?? 0) + 1 }, 'count + 1');
    if (response.kind === 'delete')
      return respond(
        history,
        operation,
        { ...response, deleted: (response.deleted ?? 0) + 1 },
        'deleted + 1',
      );
    return undefined;
  },
  /** An answered write that was refused, for all its client knows. */
  refused(history, prng) {
    const operation = prng.pick(answered(history));
    if (operation.request.kind !== 'put') return undefined;
    const outcome: Outcome = { kind: 'refused', code: 'InvalidArgument', text: 'etcdserver: no' };
    return {
      what: `#${operation.id}: refused`,
      history: replaceOperation(history, operation.id, { outcome }),
    };
  },
  /** Returned before it was called by others: real time is another. */
  earlier(history, prng) {
    const operation = prng.pick(answered(history));
    const returned = operation.called + 0.5;
    return {
      what: `#${operation.id}: returned at once`,
      history: replaceOperation(history, operation.id, { returned }),
    };
  },
  later(history, prng) {
    const operation = prng.pick(answered(history));
    const called = (operation.returned ?? 0) - 0.5;
    return {
      what: `#${operation.id}: called just before it returned`,
      history: replaceOperation(history, operation.id, { called }),
    };
  },
  lost(history, prng) {
    const operation = prng.pick(answered(history));
    const outcome: Outcome = { kind: 'unknown' };
    return {
      what: `#${operation.id}: no answer`,
      history: replaceOperation(history, operation.id, { outcome }),
    };
  },
  event: (history, prng) =>
    changeEvents(history, prng, 'an event is left out', (events, at) => events.toSpliced(at, 1)),
  eventTwice: (history, prng) =>
    changeEvents(history, prng, 'an event twice', (events, at) => events.toSpliced(at, 0, events[at])),
  eventsReversed: (history, prng) =>
    changeEvents(history, prng, 'events reversed', (events) =>
      events.length < 2 ? undefined : events.toReversed(),
    ),
  eventField: (history, prng) =>
    changeEvents(history, prng, 'a version + 1', (events, at) =>
      events[at].kind === 'delete'
        ? undefined
        : events.with(at, { ...events[at], kv: { ...events[at].kv, version: events[at].kv.version + 1 } }),
    ),
  eventPrev: (history, prng) =>
    changeEvents(history, prng, 'what was before, wrong', (events, at) => {
      const { prev } = events[at];
      return prev === undefined
        ? undefined
        : events.with(at, { ...events[at], prev: { ...prev, value: `${prev.value}!` } });
    }),
  eventKind: (history, prng) =>
    changeEvents(history, prng, 'a delete for a put', (events, at) =>
      events[at].kind === 'delete'
        ? undefined
        : events.with(at, {
            kind: 'delete',
            kv: { key: events[at].kv.key, value: '', create: 0, mod: events[at].kv.mod, version: 0 },
          }),
    ),
  progress(history, prng) {
    const responses = history.watches.filter(
      (record) => record.type === 'watchResponse' && (record.events?.length ?? 0) > 0,
    );
    if (responses.length === 0) return undefined;
    const response = prng.pick(responses) as WatchResponse;
    const { events: _, fragment: __, ...progress } = response;
    const early: WatchResponse = { ...progress, seq: response.seq - 0.5 };
    const at = history.watches.indexOf(response);
    if (response.revision < (response.events?.[0].kv.mod ?? 0)) return undefined;
    return {
      what: `progress at ${response.revision} before its events, at ${response.seq}`,
      history: { ...history, watches: history.watches.toSpliced(at, 0, early) },
    };
  },
  reordered(history, prng) {
    const responses = history.watches.filter(
      (record) => record.type === 'watchResponse' && (record.events?.length ?? 0) > 0,
    );
    if (responses.length === 0) return undefined;
    const one = prng.pick(responses) as WatchResponse;
    const other = responses.find(
      (record): record is WatchResponse =>
        record.type === 'watchResponse' && record.watch === one.watch && record.seq > one.seq,
    );
    if (other === undefined) return undefined;
    const swapped = (record: WatchRecord): WatchRecord =>
      record === one ? { ...other, seq: one.seq } : record === other ? { ...one, seq: other.seq } : record;
    return {
      what: `responses at ${one.seq} and ${other.seq} swapped`,
      history: { ...history, watches: history.watches.map(swapped) },
    };
  },
};

function changeEvents(
  history: History,
  prng: Prng,
  what: string,
  change: (events: readonly WatchEvent[], at: number) => readonly WatchEvent[] | undefined,
): Mutation | undefined {
  const responses = history.watches.filter(
    (record) => record.type === 'watchResponse' && (record.events?.length ?? 0) > 0,
  );
  if (responses.length === 0) return undefined;
  const response = prng.pick(responses) as WatchResponse;
  const events = response.events ?? [];
  const changed = change(events, prng.below(events.length));
  if (changed === undefined || changed.length === 0) return undefined;
  const watches = history.watches.map((record) =>
    record === response ? { ...response, events: changed } : record,
  );
  return { what: `watch response at ${response.seq}: ${what}`, history: { ...history, watches } };
}

export const KEY_CHANGES: readonly string[] = [
  'revision',
  'field',
  'value',
  'missing',
  'swap',
  'succeeded',
  'count',
  'earlier',
  'later',
  'lost',
  'refused',
];
export const WATCH_CHANGES: readonly string[] = Object.keys(CHANGES).filter(
  (kind) => !KEY_CHANGES.includes(kind),
);
