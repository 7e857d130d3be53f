/**
 * A backup folder that is being written: bases are put in, increments are added behind them. The manifest is replaced
 * after what it names is durable, so a crash at any moment leaves a folder with what was there before or after; what
 * else is found is removed at the next opening. It talks to nobody: what members send is handed in. One process at a time
 * writes; that is its caller's to see to. Format: docs/formats/backup.md.
 */
import { assert, crc32c, hexId, type Disk, type Logger } from '@keelson/base';
import type { Entry } from '@keelson/raft';
import { decodeConfState } from '../consensus/conf-state.ts';
import { makeDurableDirectory } from '../disk/durable-directory.ts';
import { errorCodeOf, errorMessageOf } from '../disk/error-code.ts';
import { FatalError } from '../errors.ts';
import { BboltReader } from '../snapshot/bbolt-reader.ts';
import { readImageFacts } from '../snapshot/state-image.ts';
import { decodeEntry, type SnapshotMarker } from '../wal/entry-codec.ts';
import { RecordType } from '../wal/record.ts';
import { RecordStream } from '../wal/record-stream.ts';
import { formatSegmentName } from '../wal/segment.ts';
import { WalError } from '../wal/wal-error.ts';
import { GrowingDigest } from './backup-digest.ts';
import { endOf, MANIFEST, readManifest, writeManifest, type BackupBase, type BackupChain, type BackupIncrement, type BackupManifest, type BackupPoint } from './backup-manifest.ts'; // prettier-ignore
import { withBbolt } from './database.ts';
import { IncrementWriter } from './increment-writer.ts';
import { databaseInside } from './saved-snapshot.ts';
import { currentRevisionOf } from './status.ts';

const BASE = 'base.db';
const WAL = 'wal';
/** A run that goes on for long begins a new file then: large enough to be few, small enough to be copied in a moment. */
const INCREMENT_BYTES = 16 * 1024 * 1024;
/** Earlier points of an increment that are kept: one can return to these times, and to any revision anyhow. */
const POINT_SPACING_MS = 60_000;

/** A message of the Backup service; proto's keelson.backup.v1.ShipLogResponse. */
export interface ShippedMessage {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  /** Encoded; consecutive over all messages. */
  readonly entries: readonly Buffer[];
  /** In the last one. */
  readonly reached: ShippedPoint | undefined;
}

export interface ShippedPoint {
  readonly term: number;
  readonly index: number;
  readonly revision: number;
  readonly unixMs: number;
  readonly leaseTtlMin: number;
}

/** What a shipment brought. */
export interface Received {
  readonly entries: number;
  readonly bytes: number;
  /** Where the member was. */
  readonly reached: ShippedPoint;
}

export class BackupFolder {
  private readonly disk: Disk;
  private readonly directory: string;
  private readonly logger: Logger;
  private manifest: BackupManifest | undefined;
  /** The checksum at the end of the newest chain; undefined when it cannot be gone on from. */
  private crc: number | undefined = undefined;
  private marker: SnapshotMarker | undefined = undefined;
  /** Of the newest entry's data; 0 when there is only a base. */
  private dataCrc = 0;
  private writer: IncrementWriter | undefined = undefined;
  /** What the increment being written has in the manifest; undefined before its first point. */
  private current: BackupIncrement | undefined = undefined;
  /** The disk failed: what it holds is known again once the folder is opened anew. */
  private failed = false;

  private constructor(disk: Disk, directory: string, logger: Logger, manifest: BackupManifest | undefined) {
    this.disk = disk;
    this.directory = directory;
    this.logger = logger;
    this.manifest = manifest;
  }

  /**
   * Opens a folder, or begins one in a directory that is absent or empty, and discards what a crash left.
   * @throws FatalError when the directory holds something else
   */
  static async open(disk: Disk, directory: string, logger: Logger): Promise<BackupFolder> {
    await makeDurableDirectory(disk, directory);
    const manifest = await readManifest(disk, directory);
    const folder = new BackupFolder(disk, directory, logger, manifest);
    await folder.clean();
    await folder.resume();
    return folder;
  }

  get clusterId(): bigint | undefined {
    return this.manifest?.clusterId;
  }

  /** Where to go on from; undefined: with a new base. */
  get end(): BackupPoint | undefined {
    const chain = this.manifest?.chains.at(-1);
    return chain === undefined || this.crc === undefined ? undefined : endOf(chain);
  }

  /** CRC-32C of the data of the entry where the folder ends; 0 when it is not known, as behind a base. */
  get endDataCrc(): number {
    return this.dataCrc;
  }

  /**
   * Puts a saved snapshot in and begins a chain behind it.
   * @param chunks of the file as Maintenance.Snapshot sends it, its digest last
   * @param timeMs a moment after which nothing in it happened
   * @throws FatalError for a snapshot that is not whole, or of another cluster; nothing is left of it
   */
  async addBase(
    source: { readonly clusterId: bigint; readonly memberId: bigint },
    chunks: AsyncIterable<Buffer>,
    timeMs: () => number,
  ): Promise<BackupPoint> {
    this.requireWritable();
    this.requireCluster(source.clusterId);
    await this.endIncrement();
    const chains = this.manifest?.chains ?? [];
    const name = nextChain(chains);
    const path = `${this.directory}/${name}`;
    const { base, marker } = await this.stored(path, source.memberId, chunks, timeMs);
    const chain: BackupChain = { directory: name, base, leaseTtlSecondsMin: 0, increments: [] };
    await this.replaceManifest({ clusterId: source.clusterId, chains: [...chains, chain] });
    this.crc = 0;
    this.dataCrc = 0;
    this.marker = marker;
    return base;
  }

  /** A base, durable but for its place in the manifest; nothing is left of one that is not whole. */
  private async stored(
    path: string,
    memberId: bigint,
    chunks: AsyncIterable<Buffer>,
    timeMs: () => number,
  ): Promise<{ readonly base: BackupBase; readonly marker: SnapshotMarker }> {
    try {
      await this.disk.makeDirectory(`${path}/${WAL}`);
      const { bytes, sha256, at } = await this.writeBase(`${path}/${BASE}`, chunks, timeMs);
      const { point, marker } = await this.factsOf(`${path}/${BASE}`, at);
      await this.disk.syncDirectory(path);
      await this.disk.syncDirectory(this.directory);
      return { base: { file: BASE, memberId, bytes, sha256, ...point }, marker };
    } catch (error) {
      await this.disk.removeAll(path);
      throw error;
    }
  }

  /**
   * Adds a shipment. Whatever fails on its way, the folder is then as it was before.
   * @throws FatalError for one that does not go on where the folder ends; what the messages throw
   */
  async receive(messages: AsyncIterable<ShippedMessage>): Promise<Received> {
    const { end } = this;
    assert(end !== undefined, 'a shipment goes on from a base');
    let last: { readonly index: number; readonly term: number } = end;
    let entries = 0;
    let bytes = 0;
    let newest: Entry | undefined;
    let reached: ShippedPoint | undefined;
    let memberId = 0n;
    this.requireWritable();
    try {
      for await (const message of messages) {
        this.requireCluster(message.clusterId);
        memberId = message.memberId;
        for (const encoded of message.entries) {
          const entry: Entry = decodeEntry(encoded);
          if (entry.index !== last.index + 1 || entry.term < last.term)
            throw new FatalError(
              `the member sent entry ${entry.index} of term ${entry.term} after ${last.index} of term ${last.term}`,
            );
          await (await this.increment(last.index)).append(entry);
          last = newest = entry;
          entries++;
          bytes += encoded.length;
        }
        ({ reached } = message);
      }
      if (reached === undefined) throw new FatalError('the shipment ended before it was whole');
      if (newest !== undefined && (reached.index !== newest.index || reached.term !== newest.term))
        throw new FatalError(
          `the shipment ends with entry ${newest.index}, and should have reached ${reached.index}`,
        );
      // Behind a base the entry before is known by index and term alone, and a cluster restored in place may come to
      // them again; but an entry makes one revision or none.
      const made = reached.revision - end.revision;
      if (made < 0 || made > entries)
        throw new FatalError(
          `the member is at revision ${reached.revision}, which ${entries} entries after revision ${end.revision} cannot make: its history is another one`,
        );
      if (newest !== undefined) await this.settle(newest, reached, memberId);
    } catch (error) {
      // What the disk did not take may be there or not: nothing is changed any more, and the manifest counts.
      this.failed ||= errorCodeOf(error) !== undefined;
      if (!this.failed) await this.takeBack();
      throw error;
    }
    return { entries, bytes, reached };
  }

  /** Nothing is lost that receive() has returned for. */
  async close(): Promise<void> {
    await this.endIncrement();
  }

  /** The file being written; a new one behind entry `after` when there is none, or it is large enough. */
  private async increment(after: number): Promise<IncrementWriter> {
    if (this.writer !== undefined && this.current !== undefined && this.writer.bytes >= INCREMENT_BYTES)
      await this.endIncrement();
    if (this.writer !== undefined) return this.writer;
    const chain = this.chain();
    const { crc } = this;
    assert(crc !== undefined, 'a chain that is gone on with has an end');
    const isFirst = chain.increments.length === 0;
    this.writer = await IncrementWriter.create(
      this.disk,
      this.pathOf(chain, fileName(chain, after)),
      crc,
      { memberId: chain.base.memberId, clusterId: this.manifest?.clusterId ?? 0n },
      isFirst ? this.marker : undefined,
    );
    await this.disk.syncDirectory(`${this.directory}/${chain.directory}/${WAL}`);
    return this.writer;
  }

  private async settle(last: Entry, reached: ShippedPoint, memberId: bigint): Promise<void> {
    const { writer } = this;
    assert(writer?.first !== undefined, 'what is settled was appended');
    const settled = await writer.settle(last);
    const { first } = writer;
    const chain = this.chain();
    const point = pointOf(reached);
    const before = this.current;
    const increment: BackupIncrement = {
      file: before?.file ?? fileName(chain, first.index - 1),
      memberId,
      bytes: settled.bytes,
      sha256: settled.sha256,
      first: { index: first.index, term: first.term },
      points: before === undefined ? [point] : thinned(before.points, point),
    };
    const others = before === undefined ? chain.increments : chain.increments.slice(0, -1);
    await this.replaceChain({
      ...chain,
      leaseTtlSecondsMin: reached.leaseTtlMin,
      increments: [...others, increment],
    });
    writer.keep(settled);
    this.current = increment;
    this.crc = settled.crc;
    this.dataCrc = crc32c(last.data);
  }

  /** Undoes what was appended since the last point. */
  private async takeBack(): Promise<void> {
    const { writer, current } = this;
    if (writer === undefined) return;
    try {
      if (current !== undefined) {
        await writer.rollBack();
        return;
      }
      this.writer = undefined;
      await writer.close();
      await this.disk.remove(writer.path);
    } catch (error) {
      this.failed = true;
      throw error;
    }
  }

  private async endIncrement(): Promise<void> {
    const { writer } = this;
    this.writer = undefined;
    this.current = undefined;
    await writer?.close();
  }

  private chain(): BackupChain {
    const chain = this.manifest?.chains.at(-1);
    assert(chain !== undefined, 'a base comes before its increments');
    return chain;
  }

  private async replaceChain(chain: BackupChain): Promise<void> {
    const { manifest } = this;
    assert(manifest !== undefined, 'a chain stands in a manifest');
    await this.replaceManifest({ ...manifest, chains: [...manifest.chains.slice(0, -1), chain] });
  }

  private async replaceManifest(manifest: BackupManifest): Promise<void> {
    try {
      await writeManifest(this.disk, this.directory, manifest);
    } catch (error) {
      this.failed = true;
      throw error;
    }
    this.manifest = manifest;
  }

  private requireWritable(): void {
    if (this.failed) throw new FatalError(`${this.directory} could not be written to: open it again`);
  }

  private requireCluster(clusterId: bigint): void {
    const ours = this.clusterId;
    if (ours !== undefined && ours !== clusterId)
      throw new FatalError(
        `${this.directory} is a backup of cluster ${hexId(ours)}, not of ${hexId(clusterId)}: use another folder`,
      );
  }

  private pathOf(chain: BackupChain, file: string): string {
    return `${this.directory}/${chain.directory}/${file}`;
  }

  private async writeBase(
    path: string,
    chunks: AsyncIterable<Buffer>,
    timeMs: () => number,
  ): Promise<{ readonly bytes: number; readonly sha256: string; readonly at: number }> {
    const file = await this.disk.open(path, 'create');
    const digest = new GrowingDigest();
    let bytes = 0;
    // The member froze its state before it sent the first byte.
    let at: number | undefined;
    try {
      for await (const chunk of chunks) {
        at ??= timeMs();
        await file.write(bytes, chunk);
        digest.update(chunk);
        bytes += chunk.length;
      }
      await file.sync();
    } finally {
      await file.close();
    }
    return { bytes, sha256: digest.current(), at: at ?? timeMs() };
  }

  /** Checks a saved snapshot through, and reads how far it goes. */
  private async factsOf(
    path: string,
    timeMs: number,
  ): Promise<{ readonly point: BackupPoint; readonly marker: SnapshotMarker }> {
    return withBbolt(this.disk, path, async (file) => {
      const reader = await BboltReader.open(await databaseInside(file, false));
      await reader.check();
      const { consistentIndex: index, term, confState } = await readImageFacts(reader);
      if (index === 0 || confState === '')
        throw new FatalError('the snapshot does not say how far it goes: it is not one of a Keelson member');
      const buckets = await reader.buckets();
      const revision = await currentRevisionOf({ layout: 'bbolt', buckets, bytes: await file.size() });
      const marker = { index, term, confState: decodeConfState(confState) };
      return { point: { index, term, revision, timeMs }, marker };
    });
  }

  /** Removes what the manifest does not name. */
  private async clean(): Promise<void> {
    const { disk, directory, manifest } = this;
    const chains = new Map((manifest?.chains ?? []).map((chain) => [chain.directory, chain]));
    const names = await disk.list(directory);
    if (manifest === undefined) await this.requireUnfinished(names);
    for (const name of names) {
      if (/^chain-\d+$/.test(name) && !chains.has(name))
        await this.discard(`${directory}/${name}`, 'a base that was not finished');
      else if (name === `${MANIFEST}.tmp`) await disk.remove(`${directory}/${name}`);
    }
    const chain = manifest?.chains.at(-1);
    if (chain === undefined) return;
    const known = new Set(chain.increments.map(({ file }) => file));
    for (const name of await disk.list(`${directory}/${chain.directory}/${WAL}`))
      if (!known.has(`${WAL}/${name}`))
        await this.discard(`${directory}/${chain.directory}/${WAL}/${name}`, 'a torn increment');
  }

  /**
   * Without a manifest there is at most the first base, which was not finished.
   * @throws FatalError for anything else: somebody's files, or a backup whose manifest is lost
   */
  private async requireUnfinished(names: readonly string[]): Promise<void> {
    for (const name of names) {
      if (name === `${MANIFEST}.tmp` || IGNORED.has(name)) continue;
      const path = `${this.directory}/${name}`;
      if (name !== nextChain([]))
        throw new FatalError(`${this.directory} holds ${name} and no ${MANIFEST}: it is no backup folder`);
      const inside = (await this.disk.list(path)).includes(WAL) ? await this.disk.list(`${path}/${WAL}`) : [];
      if (inside.length > 0)
        throw new FatalError(
          `${this.directory} holds increments and no ${MANIFEST}: it is lost, put it back`,
        );
    }
  }

  private async discard(path: string, what: string): Promise<void> {
    await this.disk.removeAll(path);
    this.logger.warn(`discarded ${what}`, { path });
  }

  /** Finds where the newest chain ends, and cuts what was added to it after the manifest was written. */
  private async resume(): Promise<void> {
    const chain = this.manifest?.chains.at(-1);
    if (chain === undefined) return;
    try {
      const last = chain.increments.at(-1);
      if (last === undefined) {
        const { point, marker } = await this.factsOf(this.pathOf(chain, BASE), chain.base.timeMs);
        if (point.index !== chain.base.index)
          throw new FatalError('it is another base than the manifest says');
        this.marker = marker;
        this.crc = 0;
      } else this.crc = await this.endCrc(this.pathOf(chain, last.file), last.bytes);
    } catch (error) {
      const isDamage = error instanceof FatalError || errorCodeOf(error) === 'ENOENT';
      if (!isDamage && !(error instanceof Error && error.name === 'BboltError')) throw error;
      this.logger.warn('the newest chain cannot be gone on with: a new base is wanted', {
        chain: chain.directory,
        error: errorMessageOf(error),
      });
    }
  }

  private async endCrc(path: string, bytes: number): Promise<number> {
    const file = await this.disk.open(path, 'write');
    try {
      const size = await file.size();
      if (size > bytes) {
        await file.truncate(bytes);
        await file.sync();
        this.logger.warn('discarded a torn increment', { path, bytes: size - bytes });
      }
      const stream = new RecordStream(file, { end: bytes });
      let last: Buffer | undefined;
      for (let records = await stream.next(); records !== undefined; records = await stream.next())
        last = records.findLast(({ type }) => type === RecordType.Entry)?.data ?? last;
      this.dataCrc = last === undefined ? 0 : crc32c(decodeEntry(last).data);
      if (stream.position !== bytes || stream.crc === undefined)
        throw new WalError('CORRUPT', `${path} ends at ${stream.position}, and should at ${bytes}`);
      return stream.crc;
    } finally {
      await file.close();
    }
  }
}

/** The lock of who writes here, and what file systems and people put into every directory. */
const IGNORED: ReadonlySet<string> = new Set(['lock', 'lost+found']);

/** A name that no chain has; those before it may be gone from the manifest. */
function nextChain(chains: readonly BackupChain[]): string {
  const newest = Number(/\d+$/.exec(chains.at(-1)?.directory ?? '')?.[0] ?? 0);
  return `chain-${String(newest + 1).padStart(4, '0')}`;
}

/** As a log names its segments; the first begins at the base, where a replay is to start. */
function fileName(chain: BackupChain, after: number): string {
  const sequence = chain.increments.length;
  return `${WAL}/${formatSegmentName({ sequence, firstIndex: sequence === 0 ? chain.base.index : after + 1 })}`;
}

function pointOf({ index, term, revision, unixMs }: ShippedPoint): BackupPoint {
  return { index, term, revision, timeMs: unixMs };
}

/** The points and one more. The last of the others goes when it is close to the one before it. */
function thinned(points: readonly BackupPoint[], next: BackupPoint): readonly BackupPoint[] {
  const last = points.at(-1);
  const previous = points.at(-2);
  const isClose =
    last !== undefined && previous !== undefined && last.timeMs - previous.timeMs < POINT_SPACING_MS;
  return [...(isClose ? points.slice(0, -1) : points), next];
}
