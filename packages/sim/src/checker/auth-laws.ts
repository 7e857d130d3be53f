/**
 * Users and roles (A2, A3, W14): nothing may be answered that the user's permissions cannot have allowed at any moment of the
 * call, and nothing refused that they allowed throughout. Changes of users and roles make no revision; they are placed by the
 * time of their calls. Where two overlap, or one has no answer, every state they may have left counts; one without an answer
 * may even be made again and again, which only adds states.
 */
import type { History, Operation, WatchResponse } from '../history/record.ts';
import type { Request } from '../history/request.ts';
import { operationText, rangeText } from './describe.ts';
import { isLocal, putsOf, type Filing } from './filing.ts';
import { leaseOf } from './key-space.ts';
import type { Findings } from './verdict.ts';

interface Span {
  readonly read: boolean;
  readonly write: boolean;
  readonly key: string;
  readonly end: string;
}

interface AuthState {
  readonly enabled: boolean;
  readonly users: ReadonlyMap<string, ReadonlySet<string>>;
  readonly roles: ReadonlyMap<string, readonly Span[]>;
}

/** What may be true from a place on. */
interface Era {
  readonly from: number;
  readonly states: readonly AuthState[];
}

/** More states than that are not told apart: nothing is judged until auth is settled again. */
const STATES_MAX = 256;
const NOBODY: AuthState = { enabled: false, users: new Map(), roles: new Map() };

const CHANGES: ReadonlySet<Request['kind']> = new Set([
  'authEnable',
  'authDisable',
  'userAdd',
  'userDelete',
  'userGrantRole',
  'userRevokeRole',
  'roleAdd',
  'roleDelete',
  'roleGrantPermission',
  'roleRevokePermission',
]);

export interface AuthOptions {
  /** A watch must be over this long after its user lost the permission (W14); undefined: not asked, as in etcd. */
  readonly watchEndsWithinMs?: number;
}

/**
 * From which place on users and roles may be those of the member that answered. It answers for the cluster as it is, but what it
 * reads for itself only may be of any time at which the store was at the revision it tells: so may its users and roles.
 */
class Freshness {
  private readonly filing: Filing;
  private readonly applied = new Map<number, number>();

  constructor(filing: Filing) {
    this.filing = filing;
    for (const fact of filing.history.facts)
      if (fact.type === 'applied') this.applied.set(fact.revision, fact.seq);
  }

  /** The first place at which a revision was there. */
  of(revision: number): number {
    if (revision <= this.filing.base) return -1;
    return Math.min(this.filing.seenAt(revision), this.applied.get(revision) ?? Infinity);
  }

  ofAnswer({ request, outcome, called }: Operation): number {
    if (!isLocal(request)) return called;
    const revision = outcome.kind === 'ok' ? (outcome.response.revision ?? 0) : 0;
    return Math.min(called, this.of(revision));
  }
}

export function checkAuth(filing: Filing, options: AuthOptions, findings: Findings): void {
  const { history } = filing;
  if (!history.operations.some(({ request }) => CHANGES.has(request.kind))) return;
  const eras = erasOf(history);
  const freshness = new Freshness(filing);
  // A load asks for few ranges, in long eras.
  const known = new Map<string, { readonly some: boolean; readonly every: boolean }>();
  for (const operation of history.operations) {
    const { request, outcome, user, called, returned = Infinity } = operation;
    const from = freshness.ofAnswer(operation);
    const needs = needsOf(request);
    if (needs.length === 0) continue;
    const states = statesBetween(eras, from, returned);
    if (states === undefined) {
      findings.count('not judged by permissions');
      continue;
    }
    const allowed = (state: AuthState): boolean =>
      !state.enabled || needs.every((need) => permits(state, user, need));
    findings.count('judged by permissions');
    const name = `${eraAt(eras, from)} ${eraAt(eras, returned)} ${user} ${JSON.stringify(needs)}`;
    const judged = known.get(name) ?? { some: states.some(allowed), every: states.every(allowed) };
    known.set(name, judged);
    if (outcome.kind === 'ok' && !judged.some) {
      const missing = needs.find((need) => !permits(states[0], user, need));
      findings.report(
        'A3',
        `#${operation.id} was answered, and user ${user ?? '(nobody)'} may not ${missing === undefined ? 'do all of it' : `${missing.write ? 'write' : 'read'} ${rangeText(missing.key, missing.end)}`}`,
        () => [operationText(operation), ...lastChanges(history, called).map(operationText)],
        ['A2'],
      );
    }
    // Who puts to a lease must be allowed to write all its keys, and which these are is not known here.
    const judgedWhole = ![...putsOf(request)].some((put) => leaseOf(put) !== undefined);
    if (outcome.kind === 'refused' && outcome.code === 'PermissionDenied' && judged.every && judgedWhole)
      findings.report(
        'A2',
        `#${operation.id} was denied, and user ${user ?? '(nobody)'} was allowed all of it throughout`,
        () => [operationText(operation), ...lastChanges(history, called).map(operationText)],
      );
  }
  checkWatchers(history, eras, freshness, options, findings);
}

function lastChanges(history: History, before: number): Operation[] {
  return history.operations
    .filter(({ request, called }) => CHANGES.has(request.kind) && called < before)
    .slice(-4);
}

/** The possible states from each place on at which they may change. */
function erasOf(history: History): readonly Era[] {
  const changes = history.operations.filter(
    ({ request, outcome }) => CHANGES.has(request.kind) && outcome.kind !== 'refused',
  );
  const moments = changes.flatMap((operation) => [
    { place: operation.called, operation, begins: true },
    ...(operation.outcome.kind === 'ok'
      ? [{ place: operation.returned ?? Infinity, operation, begins: false }]
      : []),
  ]);
  moments.sort((a, b) => a.place - b.place);
  // A world is a state and which of the changes under way it has made.
  let worlds: { readonly state: AuthState; readonly made: ReadonlySet<number> }[] = [
    { state: NOBODY, made: new Set() },
  ];
  const open = new Map<number, Operation>();
  const eras: Era[] = [{ from: -1, states: [NOBODY] }];
  for (const { place, operation, begins } of moments) {
    if (begins) open.set(operation.id, operation);
    else {
      worlds = worlds.filter(({ made }) => made.has(operation.id));
      open.delete(operation.id);
    }
    worlds = spread(worlds, open);
    // With more worlds than can be kept nothing is judged any more: what is dropped may be the true one.
    if (worlds.length > STATES_MAX) {
      eras.push({ from: place, states: [] });
      break;
    }
    eras.push({ from: place, states: worlds.map(({ state }) => state) });
  }
  return eras;
}

/** All worlds that the open changes can lead to. */
function spread(
  worlds: { readonly state: AuthState; readonly made: ReadonlySet<number> }[],
  open: ReadonlyMap<number, Operation>,
): { readonly state: AuthState; readonly made: ReadonlySet<number> }[] {
  const found = new Map<string, { readonly state: AuthState; readonly made: ReadonlySet<number> }>();
  const queue = worlds.map(({ state, made }) => ({
    state,
    made: new Set([...made].filter((id) => open.has(id))),
  }));
  while (queue.length > 0 && found.size <= STATES_MAX) {
    const world = queue.pop()!;
    const name = nameOf(world.state) + [...world.made].sort((a, b) => a - b).join();
    if (found.has(name)) continue;
    found.set(name, world);
    for (const [id, { request, outcome }] of open) {
      if (world.made.has(id)) continue;
      const made = outcome.kind === 'ok' ? new Set([...world.made, id]) : world.made;
      queue.push({ state: after(world.state, request), made });
    }
  }
  return [...found.values()];
}

function nameOf({ enabled, users, roles }: AuthState): string {
  const held = [...users].map(([user, names]) => `${user}: ${[...names].sort().join()}`).sort();
  const spans = [...roles].map(([role, list]) => `${role}: ${JSON.stringify(list)}`).sort();
  return `${enabled} ${held.join(';')} ${spans.join(';')} `;
}

function after(state: AuthState, request: Request): AuthState {
  const users = new Map(state.users);
  const roles = new Map(state.roles);
  switch (request.kind) {
    case 'authEnable':
      return { ...state, enabled: state.enabled || users.get('root')?.has('root') === true };
    case 'authDisable':
      return { ...state, enabled: false };
    case 'userAdd':
      users.set(request.user, users.get(request.user) ?? new Set());
      break;
    case 'userDelete':
      users.delete(request.user);
      break;
    case 'userGrantRole':
      users.set(request.user, new Set([...(users.get(request.user) ?? []), request.role]));
      break;
    case 'userRevokeRole':
      users.set(
        request.user,
        new Set([...(users.get(request.user) ?? [])].filter((role) => role !== request.role)),
      );
      break;
    case 'roleAdd':
      roles.set(request.role, roles.get(request.role) ?? []);
      break;
    case 'roleDelete':
      roles.delete(request.role);
      for (const [user, held] of users)
        users.set(user, new Set([...held].filter((role) => role !== request.role)));
      break;
    case 'roleGrantPermission': {
      const { key, end = '', permission } = request;
      const span = { key, end, read: permission !== 'write', write: permission !== 'read' };
      // A grant for the same range replaces the one before.
      roles.set(request.role, [...withoutSpan(roles.get(request.role), key, end), span]);
      break;
    }
    case 'roleRevokePermission':
      roles.set(request.role, withoutSpan(roles.get(request.role), request.key, request.end ?? ''));
      break;
    default:
      return state;
  }
  return { enabled: state.enabled, users, roles };
}

function withoutSpan(spans: readonly Span[] | undefined, key: string, end: string): readonly Span[] {
  return (spans ?? []).filter((span) => span.key !== key || span.end !== end);
}

/** The last one that began before `place`. */
function eraAt(eras: readonly Era[], place: number): number {
  let first = 0;
  let high = eras.length;
  while (first < high) {
    const middle = (first + high) >>> 1;
    if (eras[middle].from < place) first = middle + 1;
    else high = middle;
  }
  return Math.max(0, first - 1);
}

/** Undefined: too many to tell. */
function statesBetween(eras: readonly Era[], from: number, to: number): readonly AuthState[] | undefined {
  const states: AuthState[] = [];
  for (let i = eraAt(eras, from); i < eras.length && eras[i].from < to; i++) {
    if (eras[i].states.length === 0) return undefined;
    states.push(...eras[i].states);
  }
  return states;
}

/** What a request needs, as spans that are read or written. What keys a lease holds is not asked. */
function needsOf(request: Request): readonly Span[] {
  switch (request.kind) {
    case 'range':
      return [{ key: request.key, end: request.end ?? '', read: true, write: false }];
    case 'put':
      return [{ key: request.key, end: '', read: request.prevKv === true, write: true }];
    case 'delete':
      return [{ key: request.key, end: request.end ?? '', read: request.prevKv === true, write: true }];
    case 'txn': {
      const compares = (request.compare ?? []).map(({ key, end = '' }) => ({
        key,
        end,
        read: true,
        write: false,
      }));
      return [
        ...compares,
        ...(request.then ?? []).flatMap(needsOf),
        ...(request.else ?? []).flatMap(needsOf),
      ];
    }
    default:
      return [];
  }
}

function permits(state: AuthState, user: string | undefined, need: Span): boolean {
  const held = user === undefined ? undefined : state.users.get(user);
  if (held === undefined) return false;
  if (held.has('root')) return true;
  const spans = [...held].flatMap((role) => state.roles.get(role) ?? []);
  return (
    (!need.read ||
      covered(
        need,
        spans.filter(({ read }) => read),
      )) &&
    (!need.write ||
      covered(
        need,
        spans.filter(({ write }) => write),
      ))
  );
}

/** Whether the union of spans holds all of a range. */
function covered(need: Span, spans: readonly Span[]): boolean {
  const [low, high] = interval(need);
  let reached = low;
  const sorted = spans.map(interval).sort((a, b) => (a[0] < b[0] ? -1 : 1));
  for (const [from, to] of sorted) {
    if (from > reached) break;
    if (to === undefined) return true;
    if (to > reached) reached = to;
  }
  return high !== undefined && reached >= high;
}

function interval({ key, end }: Span): [string, string | undefined] {
  if (end === '') return [key, `${key}\0`];
  return [key, end === '\0' ? undefined : end];
}

/** Watches that tell what their user may not read: from the beginning (A3), or long after (W14). */
function checkWatchers(
  history: History,
  eras: readonly Era[],
  freshness: Freshness,
  { watchEndsWithinMs }: AuthOptions,
  findings: Findings,
): void {
  const changes = history.operations.filter(
    ({ request, outcome }) => CHANGES.has(request.kind) && outcome.kind === 'ok',
  );
  const told = new Map<number, WatchResponse[]>();
  for (const record of history.watches)
    if (record.type === 'watchResponse' && record.watch !== undefined && (record.events?.length ?? 0) > 0)
      push(told, record.watch, record);
  for (const record of history.watches) {
    if (record.type !== 'watch') continue;
    const need: Span = { key: record.key, end: record.end ?? '', read: true, write: false };
    const allowed = (state: AuthState): boolean => !state.enabled || permits(state, record.user, need);
    for (const response of told.get(record.watch) ?? []) {
      const [event] = response.events ?? [];
      const from = event === undefined ? record.called : Math.min(record.called, freshness.of(event.kv.mod));
      const states = statesBetween(eras, from, response.seq);
      if (states !== undefined && !states.some(allowed)) {
        findings.report(
          'A3',
          `watch ${record.watch} of ${rangeText(record.key, record.end)} was told events at ${response.seq}, and user ${record.user ?? '(nobody)'} may not read them`,
          () => lastChanges(history, response.seq).map(operationText),
        );
        break;
      }
      if (watchEndsWithinMs === undefined) continue;
      const deadline = response.ms - watchEndsWithinMs;
      const since = changes.findLast(({ returnMs = Infinity }) => returnMs < deadline);
      const lately =
        since === undefined ? undefined : statesBetween(eras, (since.returned ?? 0) + 1, response.seq);
      if (lately !== undefined && lately.length > 0 && !lately.some(allowed)) {
        findings.report(
          'W14',
          `watch ${record.watch} was told events at ${response.seq}, more than ${watchEndsWithinMs} ms after user ${record.user ?? '(nobody)'} lost the permission`,
          () => lastChanges(history, response.seq).map(operationText),
        );
        break;
      }
    }
  }
}

function push(map: Map<number, WatchResponse[]>, watch: number, response: WatchResponse): void {
  const list = map.get(watch);
  if (list === undefined) map.set(watch, [response]);
  else list.push(response);
}
