/**
 * Our own Backup service: the committed log after an entry, for who keeps increments of a saved snapshot. What is still
 * in memory comes from there, what is not from the segments on disk, a slice at a time; between slices the member does its
 * other work, and a slow reader holds up nobody but itself. It keeps no log alive: one that was released is answered
 * with OUT_OF_RANGE, and the caller takes a new base. The format of what is kept: docs/formats/backup.md.
 */
import { crc32c, type Disk } from '@keelson/base';
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

  async send({ clusterId, term, index, dataCrc }: backuppb.ShipLogRequest): Promise<void> {
    const { state } = this.replica;
    if (clusterId !== 0n && clusterId !== this.replica.clusterId) throw new StoreError('CLUSTER_ID_MISMATCH');
    // A member that lags behind the caller catches up first: then the caller has what the cluster never had.
    if (index > state.consistentIndex) await this.replica.linearizable();
    // All of one moment: nothing is applied between.
    const reached = new backuppb.LogPoint({
      term: state.consistentTerm,
      index: state.consistentIndex,
      revision: state.mvcc.currentRevision,
      unixMs: this.parts.nowMs(),
      leaseTtlMin: this.parts.leaseTtlSecondsMin,
    });
    if (index > reached.index)
      throw new RpcError(
        StatusCode.FailedPrecondition,
        `keelson: the log ends at entry ${reached.index}, before entry ${index}: its history is another one`,
      );
    // Between a received snapshot's state and its log: the memory still has what the snapshot takes the place of.
    if (index > 0 && this.parts.tail.term(reached.index) !== reached.term)
      throw new RpcError(StatusCode.Unavailable, 'keelson: a snapshot is being installed');
    if (index > 0) await this.sendEntries({ term, index, dataCrc }, reached.index);
    this.stream.write(this.message([], reached));
  }

  private async sendEntries(known: KnownEntry, last: number): Promise<void> {
    const { tail } = this.parts;
    let at = known.index;
    // The entry the caller has is compared, wherever it is found; after that it is `at` that was sent.
    let compared = false;
    const term = tail.term(at);
    if (typeof term === 'number') {
      const entries = tail.entries(at, at + 1, MESSAGE_BYTES);
      compare(known, term, typeof entries === 'string' ? undefined : entries[0]);
      compared = true;
    }
    while ((at < last || !compared) && !this.stream.closed) {
      const entries = compared ? tail.entries(at + 1, last + 1, MESSAGE_BYTES) : StorageError.Compacted;
      if (typeof entries !== 'string') {
        await this.sendMessage(entries);
        at += entries.length;
        continue;
      }
      at = await this.sendFromDisk(compared ? undefined : known, at, last);
      compared = true;
    }
  }

  /**
   * What the memory has let go.
   * @param known is entry `after`, and to be compared; undefined: it was
   * @returns the last entry sent
   */
  private async sendFromDisk(known: KnownEntry | undefined, after: number, last: number): Promise<number> {
    const { disk, walDirectory, tail } = this.parts;
    const low = known === undefined ? after + 1 : after;
    const high = Math.min(last, tail.firstIndex() - 1);
    for await (const entries of committedEntries(disk, walDirectory, low, high)) {
      const [first] = entries;
      const isKnown = known !== undefined && first.index === after;
      if (isKnown) compare(known, first.term, first);
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

/** The last entry a caller has. */
interface KnownEntry {
  readonly term: number;
  readonly index: number;
  /** 0: the caller does not know it. */
  readonly dataCrc: number;
}

/** @param ours undefined where only its term is known any more. @throws RpcError when it is another one */
function compare({ index, term, dataCrc }: KnownEntry, ourTerm: number, ours: Entry | undefined): void {
  const reason = 'its history is another one';
  if (ourTerm !== term)
    throw new RpcError(
      StatusCode.FailedPrecondition,
      `keelson: entry ${index} is of term ${ourTerm} in this log, not of term ${term}: ${reason}`,
    );
  if (ours !== undefined && dataCrc !== 0 && crc32c(ours.data) !== dataCrc)
    throw new RpcError(
      StatusCode.FailedPrecondition,
      `keelson: entry ${index} of term ${term} holds something else in this log: ${reason}`,
    );
}

function released(index: number): RpcError {
  return new RpcError(StatusCode.OutOfRange, `keelson: the log no longer reaches back to entry ${index}`);
}
