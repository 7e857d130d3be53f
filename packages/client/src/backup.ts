/**
 * Keelson's own service for incremental backups: the committed log of a cluster after an entry. No etcd has it: there
 * the call ends with UNIMPLEMENTED.
 */
import { backuppb, services } from '@keelson/proto';
import { toEtcdError } from './errors.ts';
import type { Caller } from './retry.ts';

export interface ShipLogOptions {
  /** The cluster whose log is wanted; 0 or absent: whichever answers. */
  readonly clusterId?: bigint;
  /** The last entry the caller has. */
  readonly term: number;
  /** 0: nothing is sent but who the member is. */
  readonly index: number;
  /** CRC-32C of its data; 0 or absent: not known. */
  readonly dataCrc?: number;
  /** One of the client's endpoints; without it whichever is current. */
  readonly endpoint?: string;
  readonly signal?: AbortSignal;
}

export class Backup {
  private readonly caller: Caller;

  constructor(caller: Caller) {
    this.caller = caller;
  }

  /**
   * The entries after the one the caller has, up to the last the member has applied; the last message says how far
   * they reach. Leaving the iteration ends the stream.
   * @throws EtcdError OUT_OF_RANGE when the log no longer reaches back so far, FAILED_PRECONDITION when it is another's;
   *   whatever came before it breaks is right, but says nothing of how far it goes
   */
  async *shipLog(options: ShipLogOptions): AsyncGenerator<backuppb.ShipLogResponse, void, undefined> {
    const { clusterId = 0n, term, index, dataCrc = 0, signal } = options;
    const { endpoint, metadata, token } = await this.caller.forStream(options.endpoint);
    const request = new backuppb.ShipLogRequest({ clusterId, term, index, dataCrc });
    const stream = endpoint.channel.serverStream(services.Backup.methods.shipLog, request, {
      metadata,
      ...(signal === undefined ? {} : { signal }),
    });
    try {
      yield* stream;
    } catch (reason) {
      const error = toEtcdError(reason);
      // The next call logs in again.
      if (error.reason === 'INVALID_TOKEN' || error.reason === 'AUTH_REVISION_OLD')
        this.caller.tokenRefused(token);
      throw error;
    }
  }
}
