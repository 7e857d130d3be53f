/**
 * What commands hand to the output format of the user's choice. A format that has no form for a result says
 * so, with etcdctl's text and exit code. Printers write to the sink they are given and nowhere else.
 */
import type { etcdserverpb, mvccpb } from '@keelson/proto';
import { CtlError, ExitCode } from '../ctl-error.ts';

export interface Sink {
  out(text: string | Uint8Array): void;
  err(text: string): void;
}

/** A watch response as clientv3 shows it to etcdctl. */
export interface WatchOutput {
  readonly header: etcdserverpb.ResponseHeader;
  readonly events: readonly mvccpb.Event[];
  readonly compactRevision: number;
  readonly canceled: boolean;
}

export interface EndpointHealth {
  readonly endpoint: string;
  readonly healthy: boolean;
  /** As Go prints a duration. */
  readonly took: string;
  readonly error: string;
}

export interface EndpointStatus {
  readonly endpoint: string;
  readonly status: etcdserverpb.StatusResponse;
}

export interface EndpointHashKV {
  readonly endpoint: string;
  readonly hash: etcdserverpb.HashKVResponse;
}

/** An answer of the Auth service, in all the forms it is shown in. */
export interface AuthOutput {
  readonly response: object;
  /** The message's full name. */
  readonly type: string;
  /** As on the wire. */
  readonly bytes: () => Buffer;
  /** For people. */
  readonly lines: readonly string[];
  /** What -w fields shows after the header; undefined where etcdctl has no such form. */
  readonly fields: readonly string[] | undefined;
}

/** What was done to a member, as etcdctl's simple output says it. */
export type MemberChange =
  | { readonly kind: 'added'; readonly response: etcdserverpb.MemberAddResponse }
  | { readonly kind: 'removed'; readonly id: bigint; readonly response: etcdserverpb.MemberRemoveResponse }
  | { readonly kind: 'updated'; readonly id: bigint; readonly response: etcdserverpb.MemberUpdateResponse }
  | { readonly kind: 'promoted'; readonly id: bigint; readonly response: etcdserverpb.MemberPromoteResponse };

export interface LeaderMove {
  readonly leader: bigint;
  readonly target: bigint;
  readonly response: etcdserverpb.MoveLeaderResponse;
}

export interface DowngradeOutput {
  readonly step: 'validate' | 'enable' | 'cancel';
  readonly response: etcdserverpb.DowngradeResponse;
}

/** The outcome of compare-and-swap and compare-and-delete, which etcdctl does not have. */
export interface SwapOutput {
  readonly succeeded: boolean;
  readonly revision: number;
  readonly current: mvccpb.KeyValue | undefined;
  readonly previous: mvccpb.KeyValue | undefined;
}

export class Printer {
  protected readonly sink: Sink;
  readonly format: string;

  constructor(format: string, sink: Sink) {
    this.format = format;
    this.sink = sink;
  }

  get(_response: etcdserverpb.RangeResponse): void {
    this.unsupported();
  }
  put(_response: etcdserverpb.PutResponse): void {
    this.unsupported();
  }
  del(_response: etcdserverpb.DeleteRangeResponse): void {
    this.unsupported();
  }
  txn(_response: etcdserverpb.TxnResponse): void {
    this.unsupported();
  }
  swap(_output: SwapOutput): void {
    this.unsupported();
  }
  watch(_output: WatchOutput): void {
    this.unsupported();
  }
  grant(_response: etcdserverpb.LeaseGrantResponse): void {
    this.unsupported();
  }
  revoke(_id: bigint, _response: etcdserverpb.LeaseRevokeResponse): void {
    this.unsupported();
  }
  keepAlive(_response: etcdserverpb.LeaseKeepAliveResponse): void {
    this.unsupported();
  }
  timeToLive(_response: etcdserverpb.LeaseTimeToLiveResponse, _keys: boolean): void {
    this.unsupported();
  }
  leases(_response: etcdserverpb.LeaseLeasesResponse): void {
    this.unsupported();
  }
  memberList(_response: etcdserverpb.MemberListResponse): void {
    this.unsupported();
  }
  memberChange(_change: MemberChange): void {
    this.unsupported();
  }
  moveLeader(_move: LeaderMove): void {
    this.unsupported();
  }
  downgrade(_output: DowngradeOutput): void {
    this.unsupported();
  }
  endpointHealth(_list: readonly EndpointHealth[]): void {
    this.unsupported();
  }
  endpointStatus(_list: readonly EndpointStatus[]): void {
    this.unsupported();
  }
  endpointHashKV(_list: readonly EndpointHashKV[]): void {
    this.unsupported();
  }
  alarm(_response: etcdserverpb.AlarmResponse): void {
    this.unsupported();
  }

  auth(_output: AuthOutput): void {
    this.unsupported();
  }

  protected unsupported(): never {
    throw new CtlError(ExitCode.BadFeature, `${this.format} not supported as output format`);
  }
}
