/**
 * Brings a backup folder up to date from a cluster: a base where there is none, or none that the log reaches back to,
 * then the log. It decides what is asked for, and what is worth another attempt; the folder decides what is kept.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { EtcdError, type Client } from '@keelson/client';
import { StatusCode } from '@keelson/rpc';
import type { BackupFolder, Received } from '@keelson/store';
import type { CommandContext } from '../ctl/command.ts';
import { errorText } from '../ctl/commands/lease.ts';
import { CtlError, ExitCode } from '../ctl/ctl-error.ts';
import { formatSize } from '../go-text.ts';

/** A log that is released faster than a base is fetched is nothing one can follow. */
const BASES_MAX = 3;

/** What may be otherwise a moment later. */
const PASSING: ReadonlySet<StatusCode> = new Set([
  StatusCode.Unavailable,
  StatusCode.DeadlineExceeded,
  StatusCode.Cancelled,
  StatusCode.Aborted,
  StatusCode.ResourceExhausted,
  StatusCode.Unauthenticated,
  // A connection that breaks in the middle is reported as one of these, too.
  StatusCode.Internal,
  StatusCode.Unknown,
]);

export class Shipping {
  private readonly context: CommandContext;
  private readonly folder: BackupFolder;
  /** As the folder was given. */
  private readonly name: string;
  private shippedEntries = 0;
  private shippedBytes = 0;
  /** A line of progress stands on the terminal. */
  private drawn = false;

  constructor(context: CommandContext, folder: BackupFolder, name: string) {
    this.context = context;
    this.folder = folder;
    this.name = name;
  }

  /** @throws CtlError, EtcdError, FatalError, an error of the system */
  async once(): Promise<ExitCode> {
    try {
      const { entries, bytes } = await this.ship();
      if (entries === 0) this.say(`Nothing new: ${this.where()}`);
      else this.say(`Shipped ${entries} entries (${formatSize(bytes)}): ${this.where()}`);
      return ExitCode.Success;
    } catch (error) {
      this.clear();
      if (this.context.stopping.aborted) throw new CtlError(ExitCode.Interrupted, '');
      throw explained(error);
    }
  }

  /** Until it is stopped; a member that does not answer is asked again. @throws as once() */
  async follow(intervalMs: number): Promise<ExitCode> {
    const { stopping } = this.context;
    let failing = false;
    let following = false;
    while (!stopping.aborted) {
      try {
        await this.ship();
        if (failing || !following) this.say(`${failing ? 'Shipping again' : 'Following'}: ${this.where()}`);
        failing = false;
        following = true;
      } catch (error) {
        if (stopping.aborted) break;
        const isPassing = error instanceof EtcdError && (PASSING.has(error.code) || error.reason !== 'OTHER');
        if (!isPassing || error.reason === 'PERMISSION_DENIED') {
          this.clear();
          throw explained(error);
        }
        if (!failing) this.warn(`cannot ship: ${errorText(error)}; trying again`);
        failing = true;
      }
      this.draw(`${this.where()}, ${this.shippedEntries} entries (${formatSize(this.shippedBytes)}) shipped`);
      await sleep(intervalMs, undefined, { signal: stopping }).catch(() => {});
    }
    this.clear();
    this.say(
      `Stopped: ${this.where()}; ${this.shippedEntries} entries (${formatSize(this.shippedBytes)}) shipped`,
    );
    return ExitCode.Success;
  }

  /** One round: a base if it must be, then what is new. */
  private async ship(): Promise<Received> {
    for (let bases = 0; ; bases++) {
      const { end, clusterId } = this.folder;
      if (end === undefined) {
        await this.base();
        continue;
      }
      try {
        const received = await this.folder.receive(
          this.client.backup.shipLog({
            ...(clusterId === undefined ? {} : { clusterId }),
            term: end.term,
            index: end.index,
            dataCrc: this.folder.endDataCrc,
            signal: this.context.stopping,
          }),
        );
        this.shippedEntries += received.entries;
        this.shippedBytes += received.bytes;
        return received;
      } catch (error) {
        const isReleased = error instanceof EtcdError && error.code === StatusCode.OutOfRange;
        if (!isReleased || bases >= BASES_MAX) throw error;
        this.warn(`the log no longer reaches back to entry ${end.index}: taking a new base`);
        await this.base();
      }
    }
  }

  /** Of the first member that answers. */
  private async base(): Promise<void> {
    let failure: unknown;
    for (const endpoint of this.client.endpoints) {
      try {
        const source = await this.member(endpoint);
        const point = await this.folder.addBase(source, this.blobs(endpoint), () => Date.now());
        this.say(`Saved a base: revision ${point.revision}, entry ${point.index}`);
        return;
      } catch (error) {
        if (!(error instanceof EtcdError) || error.code !== StatusCode.Unavailable) throw error;
        failure = error;
      }
    }
    throw failure;
  }

  /** Who it is. Asked of the service that is needed later: a base without it is of no use. */
  private async member(endpoint: string): Promise<{ readonly clusterId: bigint; readonly memberId: bigint }> {
    const signal = this.context.stopping;
    const messages = this.client.backup.shipLog({ term: 0, index: 0, endpoint, signal });
    for await (const message of messages) return message;
    throw new CtlError(ExitCode.Error, `${endpoint} did not say who it is`);
  }

  private async *blobs(endpoint: string): AsyncGenerator<Buffer, void, undefined> {
    let bytes = 0;
    for await (const { blob } of this.client.maintenance.snapshot({
      endpoint,
      signal: this.context.stopping,
    })) {
      bytes += blob.length;
      this.draw(`saving a base: ${formatSize(bytes)}`);
      yield blob;
    }
  }

  private get client(): Client {
    return this.context.client();
  }

  private where(): string {
    const { end } = this.folder;
    return end === undefined
      ? `${this.name} has no base yet`
      : `${this.name} reaches revision ${end.revision}, entry ${end.index}`;
  }

  private say(line: string): void {
    this.clear();
    this.context.io.out(`${line}\n`);
  }

  private warn(line: string): void {
    this.clear();
    this.context.io.err(`${line}\n`);
  }

  private draw(line: string): void {
    const { io } = this.context;
    if (!io.terminal) return;
    io.out(`\r\x1b[K${line.slice(0, io.columns() - 1)}`);
    this.drawn = true;
  }

  private clear(): void {
    if (this.drawn) this.context.io.out('\r\x1b[K');
    this.drawn = false;
  }
}

/** An error in words that say what to do about it. */
function explained(error: unknown): unknown {
  if (!(error instanceof EtcdError)) return error;
  if (error.code === StatusCode.Unimplemented)
    return new CtlError(
      ExitCode.Error,
      'the server does not ship its log: incremental backups need members of Keelson that have keelson.backup.v1.Backup',
    );
  if (error.code === StatusCode.FailedPrecondition)
    return new CtlError(
      ExitCode.Error,
      `${errorText(error)}: the folder is a backup of something else; use another`,
    );
  return error;
}
