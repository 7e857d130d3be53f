/**
 * Where audit lines go in the real world: a file that may rotate, or a stream of the process. Nothing is written
 * synchronously: a disk that hangs must not hang the member's heartbeats.
 */
import { open, rename, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errorCodeOf } from '../disk/error-code.ts';
import { tidyBackups } from '../logging/rotating-file.ts';
import { backupName, type RotationPolicy } from '../logging/rotation.ts';
import type { LineOutput } from './audit-log.ts';

const MODE = 0o600;

export class AuditFile implements LineOutput {
  private readonly path: string;
  private readonly policy: RotationPolicy | undefined;
  private readonly nowMs: () => number;
  private readonly onError: (error: unknown) => void;
  private file: FileHandle | undefined = undefined;
  private bytes = 0;
  /** What is being written, and how far that is. */
  private lines: Buffer | undefined = undefined;
  private at = 0;
  private moved = false;
  private tidying: Promise<void> = Promise.resolve();

  /**
   * @param policy undefined: it never rotates
   * @param onError told when old files cannot be removed or compressed
   */
  constructor(
    path: string,
    policy: RotationPolicy | undefined,
    nowMs: () => number,
    onError: (error: unknown) => void,
  ) {
    this.path = path;
    this.policy = policy;
    this.nowMs = nowMs;
    this.onError = onError;
  }

  /** Opens the file, for a start that must not succeed without it. @throws node's error */
  async open(): Promise<this> {
    this.file = await open(this.path, 'a+', MODE);
    const { size } = await this.file.stat();
    this.bytes = size;
    if (size > 0) {
      const { buffer } = await this.file.read(Buffer.alloc(1), 0, 1, size - 1);
      // An end came in the middle of a line: what follows begins a new one.
      if (buffer[0] !== 0x0a) await this.file.write('\n');
    }
    return this;
  }

  async write(lines: Buffer): Promise<void> {
    if (this.lines !== lines) {
      this.lines = lines;
      this.at = 0;
      if (this.moved) await this.replace();
      const { policy } = this;
      if (policy !== undefined && this.bytes > 0 && this.bytes + lines.length > policy.bytesMax)
        await this.rotate(policy);
    }
    if (this.file === undefined) await this.open();
    while (this.at < lines.length) {
      const { bytesWritten } = await this.file!.write(lines, this.at);
      this.at += bytesWritten;
      this.bytes += bytesWritten;
    }
    this.lines = undefined;
  }

  reopen(): void {
    this.moved = true;
  }

  async close(): Promise<void> {
    await this.tidying;
    await this.file?.sync();
    await this.file?.close();
    this.file = undefined;
  }

  private async rotate(policy: RotationPolicy): Promise<void> {
    const folder = dirname(this.path);
    const backup = join(folder, backupName(basename(this.path), this.nowMs(), policy.localTime));
    try {
      await rename(this.path, backup);
    } catch (error) {
      // Somebody took the file away: there is nothing to keep.
      if (errorCodeOf(error) !== 'ENOENT') throw error;
    }
    await this.replace();
    this.tidying = this.tidying.then(() => tidyBackups(this.path, policy, this.nowMs())).catch(this.onError);
  }

  private async replace(): Promise<void> {
    const { file } = this;
    this.file = undefined;
    this.moved = false;
    try {
      await file?.sync();
    } finally {
      await file?.close();
    }
    await this.open();
  }
}

/** Standard output or standard error. */
export class StreamOutput implements LineOutput {
  private readonly stream: NodeJS.WritableStream;

  constructor(stream: NodeJS.WritableStream) {
    this.stream = stream;
    // Each write hears of its own failure.
    stream.on('error', () => {});
  }

  write(lines: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.stream.write(lines, (error) => (error ? reject(error) : resolve()));
    });
  }

  reopen(): void {}

  close(): Promise<void> {
    return Promise.resolve();
  }
}
