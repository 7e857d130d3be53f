/**
 * --log-rotation-config-json: when a log file gives way to a new one, and which of the old ones stay. Pure; the
 * names, figures and defaults are those of lumberjack, which etcd uses.
 */
import { goQuote, parsed, refused, type Parsed } from '../config/go-values.ts';

export interface RotationPolicy {
  /** Bytes a file may have. */
  readonly bytesMax: number;
  /** Older files are removed; Infinity: never. */
  readonly ageMsMax: number;
  /** So many old files stay; Infinity: all. */
  readonly backupsMax: number;
  /** Times in names of old files are local, not UTC. */
  readonly localTime: boolean;
  /** Old files are gzipped. */
  readonly compress: boolean;
}

const MEGABYTE = 1024 * 1024;
const DAY_MS = 24 * 3_600_000;
const MEGABYTES_DEFAULT = 100;

/** Reads the flag's value. */
export function parseRotation(text: string): Parsed<RotationPolicy> {
  let fields: Readonly<Record<string, unknown>>;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('not an object');
    fields = { ...value };
  } catch {
    return refused(`improperly formatted log rotation config: ${goQuote(text)}`);
  }
  const problem = Object.entries(fields).find(([name, value]) => typeof value !== kindOf(name));
  if (problem !== undefined) return refused(`invalid log rotation config: ${goQuote(problem[0])}`);
  const number = (name: string): number => (typeof fields[name] === 'number' ? fields[name] : 0);
  return parsed({
    bytesMax: (number('maxsize') || MEGABYTES_DEFAULT) * MEGABYTE,
    ageMsMax: number('maxage') * DAY_MS || Infinity,
    backupsMax: number('maxbackups') || Infinity,
    localTime: fields['localtime'] === true,
    compress: fields['compress'] === true,
  });
}

function kindOf(name: string): string {
  return name.startsWith('max') ? 'number' : 'boolean';
}

/** An old file and when it was put aside. */
export interface Backup {
  readonly name: string;
  readonly atMs: number;
}

/** "etcd.log" → "etcd-2026-11-21T08-30-00.000.log". */
export function backupName(file: string, nowMs: number, localTime: boolean): string {
  const { stem, extension } = splitName(file);
  const shiftMs = localTime ? new Date(nowMs).getTimezoneOffset() * 60_000 : 0;
  const stamp = new Date(nowMs - shiftMs).toISOString().slice(0, -1).replaceAll(':', '-');
  return `${stem}-${stamp}${extension}`;
}

/** The old files of `file` among the names of its folder, newest first. */
export function backupsOf(file: string, names: readonly string[], localTime: boolean): Backup[] {
  const { stem, extension } = splitName(file);
  const found: Backup[] = [];
  for (const name of names) {
    const plain = name.endsWith('.gz') ? name.slice(0, -3) : name;
    if (!plain.startsWith(`${stem}-`) || !plain.endsWith(extension)) continue;
    const stamp = plain.slice(stem.length + 1, plain.length - extension.length);
    const match = /^(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d\.\d{3})$/.exec(stamp);
    if (match === null) continue;
    const [, day, hour, minute, second] = match;
    const atMs = Date.parse(`${day}T${hour}:${minute}:${second}${localTime ? '' : 'Z'}`);
    if (!Number.isNaN(atMs)) found.push({ name, atMs });
  }
  return found.sort((a, b) => b.atMs - a.atMs);
}

/** Which old files go. */
export function expendable(backups: readonly Backup[], policy: RotationPolicy, nowMs: number): Backup[] {
  return backups.filter(({ atMs }, i) => i >= policy.backupsMax || nowMs - atMs > policy.ageMsMax);
}

function splitName(file: string): { readonly stem: string; readonly extension: string } {
  const dot = file.lastIndexOf('.');
  return dot < 0 ? { stem: file, extension: '' } : { stem: file.slice(0, dot), extension: file.slice(dot) };
}
