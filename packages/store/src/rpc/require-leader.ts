/**
 * Streams of clients that would rather be cut than served by a member without a leader (clientv3's
 * WithRequireLeader): ended once there was none for three election timeouts in a row. A stream costs more to
 * make anew than a call to repeat, so one missed election is not enough (etcd: v3rpc/interceptor.go).
 */
import type { CallContext, RpcError } from '@keelson/rpc';
import type { Replica } from '../consensus/replica.ts';
import { rpcErrorOf } from './status.ts';

const REQUIRE_LEADER_KEY = 'hasleader';
const LEADERLESS_TICKS_MAX = 3;

export function requiresLeader(call: CallContext): boolean {
  return call.metadata.text(REQUIRE_LEADER_KEY) === 'true';
}

/** A stream as it is ended from outside. */
export interface EndableStream {
  readonly call: CallContext;
  readonly closed: boolean;
  /** Ends it with this error. */
  fail(error: RpcError): void;
}

export class RequireLeader {
  private readonly replica: Pick<Replica, 'leaderId'>;
  private readonly streams = new Set<EndableStream>();
  private leaderlessTicks = 0;

  constructor(replica: Pick<Replica, 'leaderId'>) {
    this.replica = replica;
  }

  /** Takes note of a stream if its client asked for it; call once for each stream. */
  add(stream: EndableStream): void {
    if (requiresLeader(stream.call)) this.streams.add(stream);
  }

  /** One election timeout has passed. */
  tick(): void {
    for (const stream of this.streams) if (stream.closed) this.streams.delete(stream);
    this.leaderlessTicks = this.replica.leaderId === 0n ? this.leaderlessTicks + 1 : 0;
    if (this.leaderlessTicks !== LEADERLESS_TICKS_MAX) return;
    const error = rpcErrorOf('NO_LEADER');
    for (const stream of this.streams) stream.fail(error);
    this.streams.clear();
  }
}
