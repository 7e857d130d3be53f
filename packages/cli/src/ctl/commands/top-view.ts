/** What `top` shows: pure, from two samples to lines of text or an object. */
import { formatSize, idHex } from '../../go-text.ts';
import type { Metrics } from '../metrics-page.ts';

/** One member at one moment. */
export interface MemberSample {
  readonly endpoint: string;
  readonly atMs: number;
  /** Undefined: it did not answer; `error` says why. */
  readonly status: MemberStatus | undefined;
  readonly error: string;
  /** Undefined: it has no such page, or it is not ours to read. */
  readonly metrics: Metrics | undefined;
}

export interface MemberStatus {
  readonly name: string;
  readonly id: bigint;
  readonly leader: bigint;
  readonly learner: boolean;
  readonly version: string;
  readonly term: number;
  readonly raftIndex: number;
  readonly appliedIndex: number;
  readonly revision: number;
  readonly dbSizeBytes: number;
  readonly dbInUseBytes: number;
  readonly errors: readonly string[];
}

/** Counters whose growth is the throughput. */
const PUTS = 'etcd_mvcc_put_total';
const RANGES = 'etcd_mvcc_range_total';
const TXNS = 'etcd_mvcc_txn_total';
const DELETES = 'etcd_mvcc_delete_total';
const EVENTS = 'etcd_debugging_mvcc_events_total';
const WATCHERS = 'etcd_debugging_mvcc_watcher_total';
const STREAMS = 'etcd_debugging_mvcc_watch_stream_total';
const KEYS = 'etcd_debugging_mvcc_keys_total';
const RESIDENT = 'process_resident_memory_bytes';

const HEADER: readonly string[] = [
  'MEMBER',
  'ROLE',
  'TERM',
  'REVISION',
  'INDEX',
  'LAG',
  'PUT/S',
  'GET/S',
  'TXN/S',
  'DEL/S',
  'EVENT/S',
  'WATCHERS',
  'STREAMS',
  'KEYS',
  'DB',
  'IN USE',
  'MEMORY',
  'HEALTH',
];

/** One row of the view; numbers that are not known are undefined. */
export interface MemberRow {
  readonly member: string;
  readonly endpoint: string;
  readonly role: 'leader' | 'follower' | 'learner' | 'unknown';
  readonly status: MemberStatus | undefined;
  readonly lag: number | undefined;
  readonly putsPerSecond: number | undefined;
  readonly getsPerSecond: number | undefined;
  readonly txnsPerSecond: number | undefined;
  readonly deletesPerSecond: number | undefined;
  readonly eventsPerSecond: number | undefined;
  readonly watchers: number | undefined;
  readonly streams: number | undefined;
  readonly keys: number | undefined;
  readonly residentBytes: number | undefined;
  readonly health: string;
}

/** @param before samples of the same endpoints a while ago; [] for none: no rates then */
export function rowsOf(before: readonly MemberSample[], now: readonly MemberSample[]): MemberRow[] {
  // How far a member is behind is measured against whoever applied most.
  const furthest = Math.max(0, ...now.map(({ status }) => status?.raftIndex ?? 0));
  return now.map((sample) => {
    const { status, metrics, endpoint } = sample;
    const old = before.find((candidate) => candidate.endpoint === endpoint);
    const rate = (name: string): number | undefined => {
      const [is, was] = [metrics?.get(name), old?.metrics?.get(name)];
      const seconds = (sample.atMs - (old?.atMs ?? sample.atMs)) / 1000;
      // A counter that shrank belongs to another process.
      return is === undefined || was === undefined || seconds <= 0 || is < was
        ? undefined
        : (is - was) / seconds;
    };
    return {
      member: status === undefined || status.name === '' ? endpoint : status.name,
      endpoint,
      role: roleOf(status),
      status,
      lag: status === undefined ? undefined : furthest - status.appliedIndex,
      putsPerSecond: rate(PUTS),
      getsPerSecond: rate(RANGES),
      txnsPerSecond: rate(TXNS),
      deletesPerSecond: rate(DELETES),
      eventsPerSecond: rate(EVENTS),
      watchers: metrics?.get(WATCHERS),
      streams: metrics?.get(STREAMS),
      keys: metrics?.get(KEYS),
      residentBytes: metrics?.get(RESIDENT),
      health: healthOf(sample),
    };
  });
}

function roleOf(status: MemberStatus | undefined): MemberRow['role'] {
  if (status === undefined) return 'unknown';
  if (status.learner) return 'learner';
  return status.id === status.leader ? 'leader' : 'follower';
}

function healthOf({ status, error }: MemberSample): string {
  if (status === undefined) return error;
  if (status.leader === 0n) return 'no leader';
  return status.errors.length === 0 ? 'ok' : status.errors.join(', ');
}

/** The cluster in a line, an empty one, then a table with a row a member. */
export function frameOf(rows: readonly MemberRow[]): string[] {
  const leader = rows.find(({ role }) => role === 'leader');
  const answering = rows.filter(({ status }) => status !== undefined).length;
  const puts = sum(rows.map(({ role, putsPerSecond }) => (role === 'leader' ? putsPerSecond : undefined)));
  const watchers = sum(rows.map((row) => row.watchers));
  const summary = [
    `members ${answering}/${rows.length}`,
    `leader ${leader?.member ?? 'none'}`,
    `term ${leader?.status?.term ?? '-'}`,
    `revision ${Math.max(0, ...rows.map(({ status }) => status?.revision ?? 0))}`,
    `puts ${shownRate(puts)}/s`,
    `watchers ${shown(watchers)}`,
  ].join('   ');
  const table = [HEADER, ...rows.map(cellsOf)];
  const widths = HEADER.map((_, column) => Math.max(...table.map((row) => (row[column] ?? '').length)));
  const lines = table.map((row) =>
    row
      .map((cell, column) =>
        column < 2 || column === row.length - 1
          ? cell.padEnd(widths[column] ?? 0)
          : cell.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
  return [summary, '', ...lines];
}

function cellsOf(row: MemberRow): string[] {
  const { status } = row;
  return [
    row.member,
    row.role,
    shown(status?.term),
    shown(status?.revision),
    shown(status?.raftIndex),
    shown(row.lag),
    shownRate(row.putsPerSecond),
    shownRate(row.getsPerSecond),
    shownRate(row.txnsPerSecond),
    shownRate(row.deletesPerSecond),
    shownRate(row.eventsPerSecond),
    shown(row.watchers),
    shown(row.streams),
    shown(row.keys),
    status === undefined ? '-' : formatSize(status.dbSizeBytes),
    status === undefined ? '-' : formatSize(status.dbInUseBytes),
    row.residentBytes === undefined ? '-' : formatSize(row.residentBytes),
    row.health,
  ];
}

const shown = (value: number | undefined): string => (value === undefined ? '-' : String(value));

function shownRate(value: number | undefined): string {
  if (value === undefined) return '-';
  return value >= 100 || value === 0 ? String(Math.round(value)) : value.toFixed(1);
}

function sum(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : known.reduce((total, value) => total + value, 0);
}

/** For `-w json`: one object a frame, ids in hex. */
export function frameJson(rows: readonly MemberRow[]): string {
  const members = rows.map(({ status, ...row }) => ({
    ...row,
    ...(status === undefined
      ? {}
      : { ...status, id: idHex(status.id), leader: idHex(status.leader), errors: status.errors }),
  }));
  return JSON.stringify({ members });
}
