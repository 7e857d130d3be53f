/**
 * What a backup folder holds, as its manifest says it: bases, and behind each the increments that go on from it. The
 * manifest is what counts: a file or a part of one that it does not name is not there. Format: docs/formats/backup.md.
 */
import { hexId, type Disk } from '@keelson/base';
import { errorCodeOf, errorMessageOf } from '../disk/error-code.ts';
import { FatalError } from '../errors.ts';

export const MANIFEST = 'manifest.json';
/** Millions of increments; a larger file is no manifest. */
const MANIFEST_BYTES_MAX = 256 * 1024 * 1024;
const VERSION = 1;

export interface LogPosition {
  readonly index: number;
  readonly term: number;
}

/** A state one can return to. */
export interface BackupPoint extends LogPosition {
  /** Of the keys after that entry. */
  readonly revision: number;
  /** By the clock of the member that shipped it, milliseconds since 1970. */
  readonly timeMs: number;
}

interface BackupFile {
  /** Within the chain's directory. */
  readonly file: string;
  /** Who gave it. */
  readonly memberId: bigint;
  readonly bytes: number;
  /** Of these bytes, in hex. */
  readonly sha256: string;
}

/** A saved snapshot. */
export interface BackupBase extends BackupFile, BackupPoint {}

/** Records of the log. */
export interface BackupIncrement extends BackupFile {
  readonly first: LogPosition;
  /** Where it ends, and before that where it was a while earlier, oldest first; the last one is the end. */
  readonly points: readonly BackupPoint[];
}

/** A base and what follows it without a gap. */
export interface BackupChain {
  readonly directory: string;
  readonly base: BackupBase;
  /** The least TTL of a lease in the cluster, seconds. */
  readonly leaseTtlSecondsMin: number;
  readonly increments: readonly BackupIncrement[];
}

export interface BackupManifest {
  readonly clusterId: bigint;
  /** Oldest first. */
  readonly chains: readonly BackupChain[];
}

/** Where a chain ends. */
export function endOf({ base, increments }: BackupChain): BackupPoint {
  return increments.at(-1)?.points.at(-1) ?? base;
}

/** @returns undefined where there is none. @throws FatalError for one that cannot be read */
export async function readManifest(disk: Disk, directory: string): Promise<BackupManifest | undefined> {
  const path = `${directory}/${MANIFEST}`;
  let bytes: Buffer;
  try {
    bytes = await disk.readFile(path, MANIFEST_BYTES_MAX);
  } catch (error) {
    if (errorCodeOf(error) === 'ENOENT') return undefined;
    if (errorCodeOf(error) === 'ENOTDIR')
      throw new FatalError(`${directory} is no directory`, { cause: error });
    throw error;
  }
  try {
    return manifestOf(JSON.parse(bytes.toString('utf8')));
  } catch (error) {
    throw new FatalError(`${path} cannot be read: ${errorMessageOf(error)}`, { cause: error });
  }
}

/** Durable, and the old one or the new one at every moment. */
export async function writeManifest(disk: Disk, directory: string, manifest: BackupManifest): Promise<void> {
  await disk.writeFileAtomic(`${directory}/${MANIFEST}`, Buffer.from(textOf(manifest)));
}

function textOf({ clusterId, chains }: BackupManifest): string {
  const json = {
    version: VERSION,
    clusterId: hexId(clusterId),
    chains: chains.map(({ directory, base, leaseTtlSecondsMin, increments }) => ({
      directory,
      base: { ...fileJson(base), ...pointJson(base) },
      leaseTtlSecondsMin,
      increments: increments.map((increment) => ({
        ...fileJson(increment),
        first: { index: increment.first.index, term: increment.first.term },
        points: increment.points.map(pointJson),
      })),
    })),
  };
  return `${JSON.stringify(json, undefined, 1)}\n`;
}

function fileJson({ file, memberId, bytes, sha256 }: BackupFile): object {
  return { file, memberId: hexId(memberId), bytes, sha256 };
}

function pointJson({ index, term, revision, timeMs }: BackupPoint): object {
  return { index, term, revision, time: new Date(timeMs).toISOString() };
}

function manifestOf(json: unknown): BackupManifest {
  const fields = new Fields(json);
  const version = fields.count('version');
  if (version !== VERSION)
    throw new TypeError(`it is of version ${version}, and this build knows ${VERSION}`);
  return { clusterId: fields.id('clusterId'), chains: fields.list('chains', chainOf) };
}

function chainOf(fields: Fields): BackupChain {
  const base = fields.object('base');
  return {
    directory: fields.name('directory'),
    base: { ...fileOf(base), ...pointOf(base) },
    leaseTtlSecondsMin: fields.count('leaseTtlSecondsMin'),
    increments: fields.list('increments', incrementOf),
  };
}

function incrementOf(fields: Fields): BackupIncrement {
  const first = fields.object('first');
  const points = fields.list('points', pointOf);
  if (points.length === 0) throw new TypeError('points is empty');
  return {
    ...fileOf(fields),
    first: { index: first.count('index'), term: first.count('term') },
    points,
  };
}

function fileOf(fields: Fields): BackupFile {
  return {
    file: fields.name('file'),
    memberId: fields.id('memberId'),
    bytes: fields.count('bytes'),
    sha256: fields.text('sha256'),
  };
}

function pointOf(fields: Fields): BackupPoint {
  return {
    index: fields.count('index'),
    term: fields.count('term'),
    revision: fields.count('revision'),
    timeMs: fields.time('time'),
  };
}

/** The fields of a JSON object, each of the kind it should be. @throws TypeError naming the one that is not */
class Fields {
  private readonly fields: ReadonlyMap<string, unknown>;

  constructor(json: unknown) {
    if (typeof json !== 'object' || json === null || Array.isArray(json))
      throw new TypeError('not an object');
    this.fields = new Map(Object.entries(json));
  }

  text(name: string): string {
    const value = this.fields.get(name);
    if (typeof value !== 'string') throw new TypeError(`${name} is no text`);
    return value;
  }

  /** Of a file: it never leads out of the folder. */
  name(name: string): string {
    const value = this.text(name);
    if (!/^[a-z0-9][a-z0-9.-]*(\/[a-z0-9][a-z0-9.-]*)?$/.test(value))
      throw new TypeError(`${name} is no name of ours`);
    return value;
  }

  count(name: string): number {
    const value = this.fields.get(name);
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
      throw new TypeError(`${name} is no count`);
    return value;
  }

  id(name: string): bigint {
    const value = this.text(name);
    if (!/^[0-9a-f]{1,16}$/.test(value)) throw new TypeError(`${name} is no id`);
    return BigInt(`0x${value}`);
  }

  time(name: string): number {
    const value = Date.parse(this.text(name));
    if (Number.isNaN(value)) throw new TypeError(`${name} is no time`);
    return value;
  }

  object(name: string): Fields {
    return new Fields(this.fields.get(name));
  }

  list<T>(name: string, of: (fields: Fields) => T): T[] {
    const value = this.fields.get(name);
    if (!Array.isArray(value)) throw new TypeError(`${name} is no list`);
    return value.map((each: unknown) => of(new Fields(each)));
  }
}
