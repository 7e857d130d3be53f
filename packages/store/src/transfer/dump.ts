/**
 * What is in a data dir, as text: the .snap file, the log entry by entry, the database pair by pair. For people
 * who ask why; the forms are those of etcd's etcd-dump-logs and etcd-dump-db. It reads and never changes, and
 * gives what it cannot read as bytes.
 */
import { hexId, keyFromBytes } from '@keelson/base';
import { authpb, etcdserverpb, leasepb } from '@keelson/proto';
import { ConfChangeType, decodeConfChange, EntryType, type ConfState, type Entry } from '@keelson/raft';
import { decodeCommand, V2_REQUEST } from '../apply/command.ts';
import { Buckets } from '../backend/buckets.ts';
import { FatalError } from '../errors.ts';
import { KeyValue } from '../mvcc/key-value.ts';
import { isTombstone, revisionMain, revisionSub, REVISION_LENGTH } from '../mvcc/revision.ts';
import type { KeyValuePair } from '../snapshot/pages.ts';
import { entriesOf, manifestIn } from './backup-chain.ts';
import { MANIFEST } from './backup-manifest.ts';
import type { Database, OfflineWorld } from './database.ts';
import { readMemberLog } from './member-log.ts';

/**
 * Lines of the log and of the snapshot it begins at.
 * @param dataDir a data dir, or a backup folder, whose increments are shown then
 * @param from index of the first entry shown
 */
export async function* dumpLog(
  world: OfflineWorld,
  dataDir: string,
  walDir: string,
  from: number,
): AsyncGenerator<string> {
  if (await world.disk.exists(`${dataDir}/${MANIFEST}`)) return yield* dumpBackup(world, dataDir, from);
  const paths = { snap: `${dataDir}/member/snap`, wal: walDir === '' ? `${dataDir}/member/wal` : walDir };
  const log = await readMemberLog(world.disk, paths);
  if (log === undefined) throw new FatalError(`no log in ${paths.wal}`);
  const { snapshot, hardState, entries } = log;
  yield 'Snapshot:';
  yield snapshot === undefined
    ? 'empty'
    : `term=${snapshot.term} index=${snapshot.index} ${describeQuorum(snapshot.confState)}`;
  yield 'WAL metadata:';
  yield (
    `nodeID=${hexId(log.memberId)} clusterID=${hexId(log.clusterId)} term=${hardState.term} ` +
    `commitIndex=${hardState.commit} vote=${hexId(hardState.vote)}`
  );
  yield 'WAL entries:';
  yield `lastIndex=${entries.at(-1)?.index ?? snapshot?.index ?? 0}`;
  yield 'term\t     index\ttype\tdata';
  let shown = 0;
  for (const entry of entries) {
    if (entry.index < from) continue;
    shown++;
    yield describeEntry(entry);
  }
  yield `\nEntries shown: ${shown}`;
}

async function* dumpBackup({ disk }: OfflineWorld, directory: string, from: number): AsyncGenerator<string> {
  for (const { directory: chain, base, increments } of (await manifestIn(disk, directory)).chains) {
    yield `${chain}: base term=${base.term} index=${base.index} revision=${base.revision}`;
    for (const increment of increments) {
      if ((increment.points.at(-1)?.index ?? 0) < from) continue;
      yield `${chain}/${increment.file}:`;
      for await (const entries of entriesOf(disk, `${directory}/${chain}/${increment.file}`, increment))
        for (const entry of entries) if (entry.index >= from) yield describeEntry(entry);
    }
  }
}

function describeEntry(entry: Entry): string {
  return `${pad(entry.term, 4)}\t${pad(entry.index, 10)}\t${describeData(entry)}`;
}

function describeQuorum({ voters, learners, votersOutgoing, learnersNext }: ConfState): string {
  const list = (ids: readonly bigint[]): string => `[${ids.map(hexId).join(' ')}]`;
  const parts = [`voters=${list(voters)}`];
  if (learners.length > 0) parts.push(`learners=${list(learners)}`);
  if (votersOutgoing.length > 0) parts.push(`outgoing=${list(votersOutgoing)}`);
  if (learnersNext.length > 0) parts.push(`learnersNext=${list(learnersNext)}`);
  return parts.join(' ');
}

function describeData(entry: Entry): string {
  const { type, data } = entry;
  if (type === EntryType.ConfChange) {
    const change = decodeConfChange(data);
    if (change === undefined) return `conf\t${quoted(data)}`;
    const method = Object.entries(ConfChangeType).find(([, value]) => value === change.type)?.[0] ?? '';
    return `conf\tmethod=ConfChange${method} id=${hexId(change.nodeId)} context=${quoted(change.context)}`;
  }
  if (type === EntryType.ConfChangeV2) return `conf\t${quoted(data)}`;
  return data.length === 0 ? 'norm' : `norm\t${describeCommand(data)}`;
}

function describeCommand(data: Buffer): string {
  try {
    if (decodeCommand(data).kind === V2_REQUEST) return `v2 ${quoted(data)}`;
    const request = etcdserverpb.decodeInternalRaftRequest(data);
    const parts = Object.entries(request).flatMap(([name, value]: [string, unknown]) =>
      typeof value === 'object' && value !== null ? [`${name}:<${describeMessage(value)}>`] : [],
    );
    return parts.join(' ');
  } catch {
    return quoted(data);
  }
}

/** A message's fields that are set, in the form of Go's text output; passwords are left out. */
function describeMessage(message: object): string {
  const parts: string[] = [];
  for (const [name, value] of Object.entries(message) as [string, unknown][]) {
    if (name === 'password' || name === 'hashedPassword' || name === 'simpleToken') continue;
    const values: readonly unknown[] = Array.isArray(value) ? value : [value];
    for (const each of values) {
      if (Buffer.isBuffer(each)) {
        if (each.length > 0) parts.push(`${name}:${quoted(each)}`);
      } else if (typeof each === 'object' && each !== null) parts.push(`${name}:<${describeMessage(each)}>`);
      else if (typeof each === 'string') {
        if (each !== '') parts.push(`${name}:${JSON.stringify(each)}`);
      } else if (typeof each === 'bigint' || typeof each === 'number') {
        if (BigInt(each) !== 0n) parts.push(`${name}:${each}`);
      } else if (each === true) parts.push(`${name}:true`);
    }
  }
  return parts.join(' ');
}

/** Names of the buckets. */
export function* dumpBuckets(database: Database): Generator<string> {
  for (const { name } of database.buckets) yield name.toString('latin1');
}

/**
 * Pairs of one bucket.
 * @param limit pairs at most; 0 for all
 * @param decoded whether keys and values of buckets whose form is known are taken apart
 */
export async function* dumpBucket(
  database: Database,
  name: string,
  limit: number,
  decoded: boolean,
): AsyncGenerator<string> {
  const bucket = database.buckets.find((each) => each.name.toString('latin1') === name);
  if (bucket === undefined) throw new FatalError(`got nil bucket for ${name}`);
  let left = limit === 0 ? Infinity : limit;
  for await (const pairs of bucket.entries()) {
    for (const pair of pairs) {
      if (left-- <= 0) return;
      yield decoded ? describePair(name, pair) : plainPair(pair);
    }
  }
}

function plainPair({ key, value }: KeyValuePair): string {
  return `key=${quoted(key)}, value=${quoted(value)}`;
}

function describePair(bucket: string, pair: KeyValuePair): string {
  const describe = DESCRIBED[bucket];
  if (describe === undefined) return plainPair(pair);
  try {
    return describe(pair) ?? plainPair(pair);
  } catch {
    return plainPair(pair);
  }
}

/** Undefined where the pair is not of the form it should have. */
const DESCRIBED: Readonly<Record<string, (pair: KeyValuePair) => string | undefined>> = {
  [Buckets.key.name]: ({ key, value }) => {
    if (key.length < REVISION_LENGTH) return undefined;
    const raw = keyFromBytes(key);
    const kv = KeyValue.read(value);
    const what = isTombstone(raw)
      ? `tombstone ${quoted(Buffer.from(kv.keyString, 'latin1'))}`
      : `key ${quoted(Buffer.from(kv.keyString, 'latin1'))} | val ${quoted(kv.value)} | created ${kv.createRevision} | ` +
        `mod ${kv.modRevision} | ver ${kv.version}${kv.lease === 0n ? '' : ` | lease ${kv.lease.toString(16)}`}`;
    return `rev={main:${revisionMain(raw)} sub:${revisionSub(raw)}}, value=[${what}]`;
  },
  [Buckets.lease.name]: ({ key, value }) => {
    if (key.length !== 8) return undefined;
    const lease = leasepb.decodeLease(value);
    return `lease ID=${key.readBigUInt64BE().toString(16).padStart(16, '0')}, TTL=${lease.TTL}s, remaining=${lease.RemainingTTL}s`;
  },
  [Buckets.meta.name]: ({ key, value }) => {
    const name = key.toString('latin1');
    if (value.length === 8) return `key=${JSON.stringify(name)}, value=${value.readBigUInt64BE()}`;
    if (value.length !== REVISION_LENGTH || !name.endsWith('Rev')) return undefined;
    return `key=${JSON.stringify(name)}, value=${revisionMain(value.toString('latin1'))}`;
  },
  [Buckets.auth.name]: ({ key, value }) =>
    value.length === 8 ? `key=${quoted(key)}, value=${value.readBigUInt64BE()}` : undefined,
  [Buckets.authUsers.name]: ({ value }) => {
    const { name, roles } = authpb.decodeUser(value);
    return `user=${quoted(name)}, roles=[${roles.join(' ')}]`;
  },
  [Buckets.authRoles.name]: ({ value }) => {
    const { name, keyPermission } = authpb.decodeRole(value);
    return `role=${quoted(name)}, permissions=[${keyPermission.map((each) => `<${describeMessage(each)}>`).join(' ')}]`;
  },
};

/** Bytes as a quoted text; what is not ASCII or not printable is escaped. */
function quoted(bytes: Buffer): string {
  let text = '"';
  for (const byte of bytes) {
    if (byte === 0x22 || byte === 0x5c) text += `\\${String.fromCharCode(byte)}`;
    else if (byte >= 0x20 && byte < 0x7f) text += String.fromCharCode(byte);
    else text += `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return `${text}"`;
}

function pad(value: number, width: number): string {
  return String(value).padStart(width);
}
