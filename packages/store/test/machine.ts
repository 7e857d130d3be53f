/**
 * A state machine in memory under an applier, for tests that speak in commands: each is encoded as an
 * entry of the log, applied by itself, and answered as its client would be.
 */
import { EntryType, Entry } from '@keelson/raft';
import { etcdserverpb } from '@keelson/proto';
import { Applier, type Space } from '../src/apply/applier.ts';
import { CommandKind, encodeCommand, type CommandId } from '../src/apply/command.ts';
import type { ApplyResult, Waiters } from '../src/apply/results.ts';
import { StateMachine, type StateMachineOptions } from '../src/apply/state-machine.ts';
import { MemoryBackend } from '../src/backend/memory-backend.ts';
import { WriteBuffer } from '../src/backend/write-buffer.ts';
import type { WatchEvent } from '../src/mvcc/event.ts';
import { planBbolt, writeBbolt } from '../src/snapshot/bbolt-writer.ts';
import { exportBuckets, markOf } from '../src/snapshot/state-image.ts';

/** Somebody waits for every command, unless `wanted` is false: then results are dropped, as on other members. */
class Answers implements Waiters {
  wanted = true;
  last: ApplyResult | undefined = undefined;

  isWaiting(_id: CommandId): boolean {
    return this.wanted;
  }

  resolve(_sequence: number, result: ApplyResult): void {
    this.last = result;
  }
}

export class Machine {
  readonly state: StateMachine;
  readonly backend: MemoryBackend;
  readonly events: WatchEvent[] = [];
  readonly applier: Applier;
  private readonly answers = new Answers();
  private sequence = 0;

  private constructor(state: StateMachine, backend: MemoryBackend, space: Space | undefined) {
    this.state = state;
    this.backend = backend;
    state.setListener({ notify: (events) => this.events.push(...events), replaceStore: () => {} });
    const noMembers = {
      apply: (): never => {
        throw new Error('no membership changes here');
      },
    };
    this.applier = new Applier(state, this.answers, noMembers, space);
  }

  static async open(
    backend = new MemoryBackend(),
    options: Partial<StateMachineOptions> = {},
    space?: Space,
  ): Promise<Machine> {
    const buffer = await WriteBuffer.load(backend, {
      onError: (error) => {
        throw error;
      },
    });
    const state = await StateMachine.load(
      { backend, buffer },
      {
        leaseTtlSecondsMin: 2,
        learnersMax: 1,
        mvcc: {},
        onMembershipChange: () => {},
        onCompaction: () => {},
        ...options,
      },
    );
    return new Machine(state, backend, space);
  }

  /** Applies a command as the next entry. `wanted` false: as a member whose client did not ask. */
  run(kind: CommandKind, body: Buffer, wanted = true): ApplyResult {
    const data = encodeCommand({ owner: 1, sequence: ++this.sequence }, kind, body);
    return this.applyData(data, wanted);
  }

  applyData(data: Buffer, wanted = true): ApplyResult {
    this.answers.wanted = wanted;
    this.answers.last = undefined;
    const index = this.state.consistentIndex + 1;
    this.applier.applyBatch([new Entry(1, index, EntryType.Normal, data)]);
    return this.answers.last ?? { response: undefined, error: undefined, revision: this.revision };
  }

  get revision(): number {
    return this.state.mvcc.currentRevision;
  }

  put(key: string, value: string, fields: Partial<etcdserverpb.PutRequest> = {}): ApplyResult {
    const request = new etcdserverpb.PutRequest({ key: bytes(key), value: bytes(value), ...fields });
    return this.run(CommandKind.Put, etcdserverpb.encodePutRequest(request));
  }

  delete(key: string, rangeEnd = ''): ApplyResult {
    const request = new etcdserverpb.DeleteRangeRequest({ key: bytes(key), rangeEnd: bytes(rangeEnd) });
    return this.run(CommandKind.DeleteRange, etcdserverpb.encodeDeleteRangeRequest(request));
  }

  txn(request: etcdserverpb.TxnRequest, wanted = true): ApplyResult {
    return this.run(CommandKind.Txn, etcdserverpb.encodeTxnRequest(request), wanted);
  }

  grant(ID: bigint, TTL = 10): ApplyResult {
    const request = new etcdserverpb.LeaseGrantRequest({ ID, TTL });
    return this.run(CommandKind.LeaseGrant, etcdserverpb.encodeLeaseGrantRequest(request));
  }

  revoke(ID: bigint): ApplyResult {
    const request = new etcdserverpb.LeaseRevokeRequest({ ID });
    return this.run(CommandKind.LeaseRevoke, etcdserverpb.encodeLeaseRevokeRequest(request));
  }

  compact(revision: number): ApplyResult {
    const request = new etcdserverpb.CompactionRequest({ revision });
    return this.run(CommandKind.Compaction, etcdserverpb.encodeCompactionRequest(request));
  }

  alarm(action: etcdserverpb.AlarmAction, memberID: bigint, alarm: number): ApplyResult {
    const request = new etcdserverpb.AlarmRequest({ action, memberID, alarm });
    return this.run(CommandKind.Alarm, etcdserverpb.encodeAlarmRequest(request));
  }

  /** "key=value create.mod.version lease" of every key. */
  dump(): string[] {
    const found = this.state.mvcc.range('\0', '\0');
    if (typeof found === 'string') throw new Error(found);
    return found.kvs.map(
      (kv) =>
        `${kv.keyString}=${kv.value.toString()} ${kv.createRevision}.${kv.modRevision}.${kv.version}` +
        (kv.lease === 0n ? '' : ` lease ${kv.lease}`),
    );
  }
}

/** The database file a leader in this state would send. */
export async function imageOf(state: StateMachine): Promise<Buffer> {
  const view = await state.buffer.snapshot();
  const mark = await markOf(view);
  if (mark === undefined) throw new Error('an empty state has no image');
  const buckets = exportBuckets(view, mark);
  const chunks: Buffer[] = [];
  for await (const chunk of writeBbolt(await planBbolt(buckets), buckets)) chunks.push(chunk);
  await view.close();
  return Buffer.concat(chunks);
}

export function bytes(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** Operations and guards of a transaction in few words. */
export const op = {
  put(key: string, value = 'v', fields: Partial<etcdserverpb.PutRequest> = {}): etcdserverpb.RequestOp {
    const requestPut = new etcdserverpb.PutRequest({ key: bytes(key), value: bytes(value), ...fields });
    return new etcdserverpb.RequestOp({ requestPut });
  },
  del(key: string, rangeEnd = ''): etcdserverpb.RequestOp {
    const requestDeleteRange = new etcdserverpb.DeleteRangeRequest({
      key: bytes(key),
      rangeEnd: bytes(rangeEnd),
    });
    return new etcdserverpb.RequestOp({ requestDeleteRange });
  },
  get(key: string, rangeEnd = '', revision = 0, serializable = false): etcdserverpb.RequestOp {
    const requestRange = new etcdserverpb.RangeRequest({
      key: bytes(key),
      rangeEnd: bytes(rangeEnd),
      revision,
      serializable,
    });
    return new etcdserverpb.RequestOp({ requestRange });
  },
  txn(
    compare: etcdserverpb.Compare[],
    success: etcdserverpb.RequestOp[],
    failure: etcdserverpb.RequestOp[] = [],
  ): etcdserverpb.RequestOp {
    return new etcdserverpb.RequestOp({
      requestTxn: new etcdserverpb.TxnRequest({ compare, success, failure }),
    });
  },
};

export function txn(
  compare: etcdserverpb.Compare[],
  success: etcdserverpb.RequestOp[],
  failure: etcdserverpb.RequestOp[] = [],
): etcdserverpb.TxnRequest {
  return new etcdserverpb.TxnRequest({ compare, success, failure });
}

export const TRUE = new etcdserverpb.Compare({
  key: bytes('never there'),
  target: etcdserverpb.CompareTarget.CREATE,
  result: etcdserverpb.CompareResult.EQUAL,
  createRevision: 0,
});

export const FALSE = new etcdserverpb.Compare({
  key: bytes('never there'),
  target: etcdserverpb.CompareTarget.CREATE,
  result: etcdserverpb.CompareResult.GREATER,
  createRevision: 0,
});
