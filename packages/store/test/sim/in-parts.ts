/** Answers that come in many messages: a range told in a stream, a snapshot. Each counts as one answer, when it is whole. */
import { etcdserverpb, services } from '@keelson/proto';
import { RpcError, StatusCode } from '@keelson/rpc';
import type { RangeRequest } from '@keelson/sim';
import type { Connection } from './connection.ts';
import type { Show } from './show.ts';

const { KV, Maintenance } = services;

/** Who asks, and how long it waits. */
export interface Patience {
  readonly token: string | undefined;
  readonly timeoutMs: number;
  /** Ms the client takes for a message. */
  readonly pace: () => number;
}

type Done<T> = (answer: T | undefined, error: RpcError | undefined) => void;

/** Whether RangeStream takes it. */
export function isStreamable({ order, target, minMod, maxMod, minCreate, maxCreate }: RangeRequest): boolean {
  const sorted = order === 'descend' || (target !== undefined && target !== 'key');
  return !sorted && [minMod, maxMod, minCreate, maxCreate].every((bound) => (bound ?? 0) === 0);
}

export function rangeInParts(
  cluster: Show,
  connection: Connection,
  message: etcdserverpb.RangeRequest,
  patience: Patience,
  done: Done<etcdserverpb.RangeResponse>,
): void {
  const whole = new etcdserverpb.RangeResponse();
  let last = whole;
  read(cluster, connection, patience, (handlers) =>
    connection.reader(KV.methods.rangeStream, message, patience.token, {
      ...handlers,
      message: ({ rangeResponse }: etcdserverpb.RangeStreamResponse) => {
        if (rangeResponse === undefined) return;
        last = rangeResponse;
        whole.kvs.push(...rangeResponse.kvs);
      },
      end: (error) => {
        const { header, more, count } = last;
        Object.assign(whole, { header, more, count });
        handlers.end(error, whole);
      },
    }), done); // prettier-ignore
}

export function snapshotInParts(
  cluster: Show,
  connection: Connection,
  patience: Patience,
  done: Done<Buffer>,
): void {
  const parts: Uint8Array[] = [];
  read(cluster, connection, patience, (handlers) =>
    connection.reader(Maintenance.methods.snapshot, new etcdserverpb.SnapshotRequest(), patience.token, {
      ...handlers,
      message: ({ blob }: etcdserverpb.SnapshotResponse) => void parts.push(blob),
      end: (error) => handlers.end(error, Buffer.concat(parts)),
    }), done); // prettier-ignore
}

interface Ends<T> {
  readonly pace: () => number;
  readonly end: (error: RpcError | undefined, answer: T) => void;
}

/** Ends once: with the answer, with why there is none, or when the client has waited long enough. */
function read<T>(
  cluster: Show,
  connection: Connection,
  { timeoutMs, pace }: Patience,
  open: (handlers: Ends<T>) => { cancel(): void },
  done: Done<T>,
): void {
  let over = false;
  const finish = (answer: T | undefined, error: RpcError | undefined): void => {
    if (over) return;
    over = true;
    done(answer, error);
  };
  const stream = open({
    pace,
    end: (error, answer) => finish(error === undefined ? answer : undefined, error),
  });
  cluster.scheduler.later(timeoutMs, 'gives up', connection.member.place, () => {
    if (over) return;
    finish(undefined, new RpcError(StatusCode.DeadlineExceeded, 'context deadline exceeded'));
    stream.cancel();
  });
}
