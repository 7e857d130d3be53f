/**
 * A file of lines that is put aside when it is long enough: under its name with the time in it, so many of them, for so
 * many days, compressed if wanted. Writes at once and in order; a line that could not be written is told.
 *
 * Modelled on lumberjack, whose file names administrators' tools know.
 */

import {
  closeSync,
  createReadStream,
  createWriteStream,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

import type { LineWriter } from './log-sink.ts';

export interface RotationOptions {
  /** 0: 100 MB, as the original. */
  readonly megabytesMax: number;
  /** 0: for ever. */
  readonly daysMax: number;
  /** 0: all. */
  readonly backupsMax: number;
  readonly compress: boolean;
  readonly nowMs: () => number;
  /** Told what went wrong beside the writing. */
  readonly warn: (message: string, error: unknown) => void;
}

const MEGABYTE = 1024 * 1024;
const MEGABYTES = 100;
const DAY_MS = 86_400_000;
const PACKED = '.gz';

export class RotatingFile implements LineWriter {
  private readonly path: string;
  private readonly options: RotationOptions;
  private descriptor: number;
  private size: number;
  private packing: Promise<void> = Promise.resolve();

  /** @throws Error when the file cannot be opened */
  constructor(path: string, options: RotationOptions) {
    this.path = path;
    this.options = options;
    mkdirSync(dirname(path), { recursive: true, mode: 0o744 });
    this.descriptor = openLog(path);
    this.size = fstatSync(this.descriptor).size;
  }

  write(text: string): void {
    const bytes = Buffer.from(text);
    const max = (this.options.megabytesMax || MEGABYTES) * MEGABYTE;
    if (this.size > 0 && this.size + bytes.length > max) this.rotate();
    for (let at = 0; at < bytes.length;) at += writeSync(this.descriptor, bytes, at);
    this.size += bytes.length;
  }

  close(): void {
    closeSync(this.descriptor);
  }

  /** Resolves when nothing is being compressed. */
  settled(): Promise<void> {
    return this.packing;
  }

  private rotate(): void {
    closeSync(this.descriptor);
    renameSync(this.path, this.backupName());
    this.descriptor = openLog(this.path);
    this.size = 0;
    this.packing = this.packing
      .then(() => this.sweep())
      .catch((error: unknown) => this.options.warn('old audit logs could not be put in order', error));
  }

  /** `audit-2026-01-02T15-04-05.000.log`. */
  private backupName(): string {
    const extension = extname(this.path);
    const stem = join(dirname(this.path), basename(this.path, extension));
    const time = new Date(this.options.nowMs()).toISOString().replaceAll(':', '-').replace(/Z$/, '');
    return `${stem}-${time}${extension}`;
  }

  private async sweep(): Promise<void> {
    const { backupsMax, daysMax, compress, nowMs } = this.options;
    const folder = dirname(this.path);
    const extension = extname(this.path);
    const stem = `${basename(this.path, extension)}-`;
    const backups = readdirSync(folder)
      .flatMap((name) => {
        const plain = name.endsWith(PACKED) ? name.slice(0, -PACKED.length) : name;
        if (!plain.startsWith(stem) || !plain.endsWith(extension)) return [];
        const time = timeOf(plain.slice(stem.length, plain.length - extension.length));
        return time === undefined ? [] : [{ name, time }];
      })
      .toSorted((a, b) => b.time - a.time);
    const oldest = nowMs() - daysMax * DAY_MS;
    for (const [index, { name, time }] of backups.entries()) {
      const path = join(folder, name);
      if ((backupsMax > 0 && index >= backupsMax) || (daysMax > 0 && time < oldest)) {
        rmSync(path, { force: true });
      } else if (compress && !name.endsWith(PACKED)) {
        await pipeline(
          createReadStream(path),
          createGzip(),
          createWriteStream(`${path}${PACKED}`, { mode: 0o600 }),
        );
        rmSync(path, { force: true });
      }
    }
  }
}

function openLog(path: string): number {
  return openSync(path, 'a', 0o600);
}

function timeOf(text: string): number | undefined {
  const match = /^(\d{4}-\d{2}-\d{2}T\d{2})-(\d{2})-(\d{2}\.\d{3})$/.exec(text);
  if (match === null) return undefined;
  const time = Date.parse(`${match[1]}:${match[2]}:${match[3]}Z`);
  return Number.isNaN(time) ? undefined : time;
}
