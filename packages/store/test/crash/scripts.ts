/**
 * What is done while the disk of one member is recorded: one script on a member alone, one in which it follows, falls
 * behind and is sent a snapshot. Everything a client can do is in them; small segments and few entries between
 * snapshots make everything a member does to its files happen many times.
 */
import { compare, op, type Client } from '@keelson/client';
import { MessageType, type Message } from '@keelson/raft';
import { until } from '../../../base/test/until.ts';
import type { ServerConfig } from '../../src/config/flag-table.ts';
import type { BoundTransport, World } from '../../src/world.ts';
import { MemberCluster } from '../members.ts';
import { Recorder } from './recorder.ts';

export interface Shape {
  readonly segmentBytes: number;
  readonly config: Partial<ServerConfig>;
}

const CONFIG: Partial<ServerConfig> = { snapshotCatchupEntries: 5, backendBatchIntervalMs: 5, bcryptCost: 4 };

/** Snapshots more often than segments are cut. */
export const MANY_SNAPSHOTS: Shape = {
  segmentBytes: 4096,
  config: { ...CONFIG, snapshotCount: 20, maxWals: 2 },
};

/** Several segments between two snapshots, released at once. */
export const MANY_SEGMENTS: Shape = {
  segmentBytes: 1024,
  config: { ...CONFIG, snapshotCount: 45, maxWals: 1 },
};

/** One member's life: what it did, and the configuration it starts with. */
export interface Recording {
  readonly recorder: Recorder;
  readonly config: ServerConfig;
  readonly segmentBytes: number;
  /** Operations of clients that were acknowledged. */
  readonly acknowledged: number;
  /** Disks of members whose entries it may have too. */
  readonly others: readonly Recorder[];
}

/** The world with a recorded disk, and with notes of what is told to others. */
function recordedWorld(world: World, recorder: Recorder, walSegmentBytes: number): World {
  return {
    ...world,
    disk: recorder.disk,
    home: (directory) => recorder.home(directory),
    tuning: { walSegmentBytes },
    transport: (identity, handler, extra) =>
      notedTransport(world.transport(identity, handler, extra), recorder),
  };
}

function notedTransport(transport: BoundTransport, recorder: Recorder): BoundTransport {
  const send = transport.send.bind(transport);
  transport.send = (messages) => {
    for (const message of messages) note(message, recorder);
    send(messages);
  };
  return transport;
}

function note({ type, term, index, reject, to }: Message, recorder: Recorder): void {
  const vote = type === MessageType.VoteResp && !reject ? to : 0n;
  const told = type === MessageType.AppResp && !reject ? index : 0;
  // The term of a pre-vote is one that nobody is in yet.
  const counts = type !== MessageType.PreVote && type !== MessageType.PreVoteResp;
  recorder.record({ kind: 'note', index: told, term: counts ? term : 0, vote });
}

type Step = (client: Client, i: number) => Promise<unknown>;

const USER = { user: 'root', password: 'secret' };

/** Operation i of the script; the same each time. */
function stepOf(i: number): Step {
  const key = `k${i % 17}`;
  switch (i % 20) {
    case 3:
      return (client) => client.kv.delete(key);
    case 5:
      return (client) => client.lease.grant(3600, { id: BigInt(1000 + i) });
    case 6:
      return (client) => client.kv.put(`leased${i}`, 'x', { lease: BigInt(999 + i) });
    case 8:
      return (client) =>
        client.kv.txn({
          compare: [compare.version(key, '>', 0)],
          success: [op.put(key, `txn ${i}`), op.delete(`k${(i + 3) % 17}`), op.put(`t${i}`, 'new')],
          failure: [op.put(`f${i}`, 'none')],
        });
    case 11:
      return async (client) => {
        const { header } = await client.kv.put(key, 'before the compaction');
        return i % 40 === 11 && client.kv.compact((header?.revision ?? 3) - 2);
      };
    case 13:
      // Several that wait for one sync.
      return (client) => Promise.all([1, 2, 3].map((n) => client.kv.put(`p${n}`, `${i}`)));
    case 15:
      return (client) => client.kv.put(`large${i % 3}`, Buffer.alloc(1500, i));
    case 17:
      return (client) =>
        i % 40 === 17 ? client.lease.revoke(BigInt(1000 + i - 12)) : client.kv.put(key, 'w');
    default:
      return (client) => client.kv.put(key, `value ${i}`);
  }
}

/** Where something else than keys and leases changes. */
function specialStep(i: number, memberId: bigint): Step | undefined {
  switch (i) {
    case 41:
      return (client) => client.auth.roleAdd('root');
    case 42:
      return (client) => client.auth.userAdd('root', 'secret');
    case 43:
      return (client) => client.auth.userGrantRole('root', 'root');
    case 44:
      return (client) => client.auth.enable();
    case 61:
      return (client) => client.auth.roleAdd('reader');
    case 62:
      return (client) => client.auth.roleGrantPermission('reader', 'read', 'a', { prefix: true });
    case 63:
      return (client) => client.auth.userAdd('alice', 'wonder');
    case 64:
      return (client) => client.auth.userGrantRole('alice', 'reader');
    case 90:
      return (client) => client.auth.disable();
    case 101:
      return (client) => client.maintenance.alarmActivate(memberId, 'NOSPACE');
    case 102:
      return (client) => client.maintenance.alarmDisarm(memberId, 'NOSPACE');
    case 121:
      return (client) => client.cluster.memberAdd(['http://127.0.0.1:7'], { learner: true });
    case 141:
      return async (client) => {
        const { members } = await client.cluster.memberList();
        return client.cluster.memberRemove(members.find(({ isLearner }) => isLearner)!.ID);
      };
    case 161:
      return (client) => client.auth.userDelete('alice');
    default:
      return undefined;
  }
}

/** A member alone: so many operations, one restart in good order, one kill. */
export async function recordAlone(operations: number, shape: Shape): Promise<Recording> {
  const recorder = await Recorder.of();
  const cluster = await MemberCluster.start({
    members: 1,
    config: shape.config,
    world: (_place, world) => recordedWorld(world, recorder, shape.segmentBytes),
  });
  const config = cluster.config(0);
  let client = cluster.client();
  let acknowledged = 0;
  try {
    for (let i = 0; i < operations; i++) {
      await (specialStep(i, cluster.server(0).memberId) ?? stepOf(i))(client, i);
      recorder.record({
        kind: 'note',
        index: cluster.server(0).replica.state.consistentIndex,
        term: 0,
        vote: 0n,
      });
      acknowledged++;
      if (i === 44) client = cluster.client([0], USER);
      if (i === Math.floor(operations / 2)) {
        await cluster.stopMember(0);
        await (await cluster.startMember(0)).ready();
        client = cluster.client([0], i > 44 && i < 90 ? USER : {});
      }
    }
  } finally {
    await cluster.stop();
  }
  return { recorder, config, segmentBytes: shape.segmentBytes, acknowledged, others: [] };
}

/** Of a member whose disk failed. */
export interface FaultyRecording extends Recording {
  /** What it ended with; undefined: it went on to the end of the script. */
  readonly failure: Error | undefined;
  /** What the disk was asked for, in order. */
  readonly asked: readonly string[];
}

/**
 * A member alone whose disk fails at one operation.
 * @param fault told the number of the operation, from 0, and what it is
 */
export async function recordFaulty(
  operations: number,
  shape: Shape,
  fault: (number: number, what: string) => string | undefined,
): Promise<FaultyRecording> {
  const recorder = await Recorder.of();
  const asked: string[] = [];
  recorder.fault = (kind, path) => {
    const what = `${kind} ${path}`;
    asked.push(what);
    return fault(asked.length - 1, what);
  };
  let failure: Error | undefined;
  let acknowledged = 0;
  let cluster: MemberCluster | undefined;
  let config: ServerConfig | undefined;
  try {
    cluster = await MemberCluster.start({
      members: 1,
      config: shape.config,
      world: (_place, world) => recordedWorld(world, recorder, shape.segmentBytes),
    });
    config = cluster.config(0);
    const server = cluster.server(0);
    void server.failed.then((error) => {
      failure = error;
    });
    const client = cluster.client();
    for (let i = 0; i < operations && failure === undefined; i++) {
      await (specialStep(i, server.memberId) ?? stepOf(i))(client, i);
      // What is answered when it has failed already would be promised for nothing.
      recorder.record({ kind: 'note', index: server.replica.state.consistentIndex, term: 0, vote: 0n });
      acknowledged++;
    }
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    failure ??= error;
  } finally {
    recorder.fault = () => undefined;
    await cluster?.stop();
  }
  config ??= { ...(await plainConfig()), ...shape.config };
  return { recorder, config, segmentBytes: shape.segmentBytes, acknowledged, others: [], failure, asked };
}

/** Of a member that could not be started. */
async function plainConfig(): Promise<ServerConfig> {
  const cluster = await MemberCluster.start({ members: 1 });
  await cluster.stop();
  return cluster.config(0);
}

/** The last of three members: it follows, is cut off, and comes back by snapshot, twice. */
export async function recordFollower(operations: number, shape: Shape): Promise<Recording> {
  const recorders = await Promise.all([Recorder.of(), Recorder.of(), Recorder.of()]);
  const cluster = await MemberCluster.start({
    members: 3,
    config: shape.config,
    world: (place, world) => recordedWorld(world, recorders[place], shape.segmentBytes),
  });
  let acknowledged = 0;
  const leader = await cluster.leader();
  const place = leader === 2 ? 1 : 2;
  const config = cluster.config(place);
  const client = cluster.client([leader]);
  const state = (): number => cluster.server(place).replica.state.consistentIndex;
  const caughtUp = (): Promise<void> =>
    until(() => state() >= cluster.server(leader).replica.state.consistentIndex, 'the follower to catch up');
  try {
    for (let i = 0; i < operations; i++) {
      const phase = Math.floor((i * 5) / operations);
      if (phase === 1 || phase === 3) cluster.isolate(place);
      else {
        cluster.mend(place);
        if (phase > 0 && i % 5 === 0) await caughtUp();
      }
      await stepOf(i)(client, i);
      acknowledged++;
    }
    await caughtUp();
  } finally {
    await cluster.stop();
  }
  return {
    recorder: recorders[place],
    config,
    segmentBytes: shape.segmentBytes,
    acknowledged,
    others: recorders,
  };
}
