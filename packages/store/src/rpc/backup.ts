/**
 * Our own Backup service: the committed log after an entry, for who keeps increments of a saved snapshot. What is still
 * in memory comes from there, what is not from the segments on disk, a slice at a time; between slices the member does its
 * other work, and a slow reader holds up nobody but itself. It keeps no log alive: one that was released is answered
 * with OUT_OF_RANGE, and the caller takes a new base. The format of what is kept: docs/formats/backup.md.
 */
import type { Disk } from '@keelson/base';
import { backuppb, services } from '@keelson/proto';
import { StorageError, type Entry } from '@keelson/raft';
import { RpcError, StatusCode, type MethodTable, type ServerStream } from '@keelson/rpc';
import type { LogTail } from '../consensus/log-storage.ts';
import type { Replica } from '../consensus/replica.ts';
import { StoreError } from '../errors.ts';
import { committedEntries } from '../wal/committed-log.ts';
import { encodeEntry } from '../wal/entry-codec.ts';
import { WalError } from '../wal/wal-error.ts';

/** Entries in one message, as far as one entry is not larger itself: enough that calls do not count, and a fraction of
 *  what a connection buffers. */
const MESSAGE_BYTES = 256 * 1024;

export interface BackupParts {
  readonly tail: LogTail;
  readonly disk: Disk;
  /** Where the segments are. */
  readonly walDirectory: string;
  /** TTLs below it are raised when a lease is granted. */
  readonly leaseTtlSecondsMin: number;
  readonly nowMs: () => number;
  /** Calls back in a later turn, after what waits now. */
  readonly defer: (task: () => void) => void;
}

export function registerBackup(table: MethodTable, replica: Replica, parts: BackupParts): void {
  table.serverStream(services.Backup.methods.shipLog, async (request, stream) => {
    try {
      await new Shipment(replica, parts, stream).send(request);
    } catch (error) {
      if (!(error instanceof WalError)) throw error;
      if (error.code === 'NOT_FOUND') throw released(request.index);
      throw new RpcError(StatusCode.DataLoss, error.message);
    }
  });
}

class Shipment {
  private readonly replica: Replica;
  private readonly parts: BackupParts;
  private readonly stream: ServerStream<backuppb.ShipLogResponse>;

  constructor(replica: Replica, parts: BackupParts, stream: ServerStream<backuppb.ShipLogResponse>) {
    this.replica = replica;
    this.parts = parts;
    this.stream = stream;
  }

  async send({ clusterId, term, index }: backuppb.ShipLogRequest): Promise<void> {
    const { state } = this.replica;
    if (clusterId !== 0n && clusterId !== this.replica.clusterId) throw new StoreError('CLUSTER_ID_MISMATCH');
    // All of one moment: nothing is applied between.
    const reached = new backuppb.LogPoint({
      term: state.consistentTerm,
      index: state.consistentIndex,
      revision: state.mvcc.currentRevision,
      unixMs: this.parts.nowMs(),
      leaseTtlMin: this.parts.leaseTtlSecondsMin,
    });
    if (index < reached.index) await this.sendEntries(term, index, reached.index);
    else if (index === reached.index && term !== reached.term) throw differs(index, term, reached.term);
    this.stream.write(this.message([], reached));
  }

  private async sendEntries(term: number, index: number, last: number): Promise<void> {
    const { tail } = this.parts;
    let at = index;
    // At the start the entry the caller has is compared, wherever it is found.
    let compared = false;
    while (at < last && !this.stream.closed) {
      const known = compared ? term : tail.term(at);
      if (typeof known === 'number' && known !== term) throw differs(at, term, known);
      compared = true;
      const entries =
        typeof known === 'number' ? tail.entries(at + 1, last + 1, MESSAGE_BYTES) : StorageError.Compacted;
      if (typeof entries !== 'string') {
        await this.sendMessage(entries);
        at += entries.length;
        continue;
      }
      at = await this.sendFromDisk(typeof known === 'number' ? undefined : term, at, last);
    }
  }

  /**
   * What the memory has let go.
   * @param term of entry `after`, which is compared; undefined: it was
   * @returns the last entry sent
   */
  private async sendFromDisk(term: number | undefined, after: number, last: number): Promise<number> {
    const { disk, walDirectory, tail } = this.parts;
    const low = term === undefined ? after + 1 : after;
    const high = Math.min(last, tail.firstIndex() - 1);
    for await (const entries of committedEntries(disk, walDirectory, low, high)) {
      const [first] = entries;
      const isKnown = term !== undefined && first.index === after;
      if (isKnown && first.term !== term) throw differs(after, term, first.term);
      let message: Entry[] = [];
      let bytes = 0;
      for (const entry of isKnown ? entries.slice(1) : entries) {
        if (bytes > 0 && bytes + entry.data.length > MESSAGE_BYTES) {
          await this.sendMessage(message);
          message = [];
          bytes = 0;
        }
        message.push(entry);
        bytes += entry.data.length;
      }
      if (message.length > 0) await this.sendMessage(message);
      if (this.stream.closed) break;
    }
    return high;
  }

  private async sendMessage(entries: readonly Entry[]): Promise<void> {
    if (!this.stream.write(this.message(entries, undefined))) await this.stream.ready();
    // Requests go first, also where the reader is faster than we are.
    await new Promise<void>((resolve) => this.parts.defer(resolve));
  }

  private message(
    entries: readonly Entry[],
    reached: backuppb.LogPoint | undefined,
  ): backuppb.ShipLogResponse {
    return new backuppb.ShipLogResponse({
      clusterId: this.replica.clusterId,
      memberId: this.replica.memberId,
      entries: entries.map(encodeEntry),
      ...(reached === undefined ? {} : { reached }),
    });
  }
}

function differs(index: number, theirs: number, ours: number): RpcError {
  return new RpcError(
    StatusCode.FailedPrecondition,
    `keelson: entry ${index} is of term ${ours} in this log, not of term ${theirs}: its history is another one`,
  );
}

function released(index: number): RpcError {
  return new RpcError(StatusCode.OutOfRange, `keelson: the log no longer reaches back to entry ${index}`);
}
