/**
 * Whether the files of a LevelDB are what was written: every block of every table in use, every record of its
 * manifest and its logs. LevelDB itself checks no table when it reads one, skips a damaged part of a log as if it had
 * never been written, and makes an empty database where CURRENT is missing; so this is looked at before it is opened,
 * and nothing is ever repaired here. What a crash leaves is let pass: the end of an unsynced write, files of a
 * compaction that did not finish.
 *
 * Formats: LevelDB 1.20, doc/log_format.md and doc/table_format.md.
 */
import type { Disk } from '@keelson/base';
import { FatalError } from '../errors.ts';
import { levelLogRecords } from './level-log.ts';
import { Cursor, tableDamage } from './level-table.ts';

/** None of LevelDB's own is larger: 8 MiB tables, logs of a write buffer and one batch. */
const FILE_BYTES_MAX = 2 * 1024 * 1024 * 1024 - 1;

/** Says which file is damaged, and how. */
export class LevelDamage extends FatalError {}

/** What the manifest says. */
interface Manifest {
  /** Number of a live table → bytes. */
  readonly tables: ReadonlyMap<number, number>;
  /** Logs from this number on are not in tables yet. */
  readonly logNumber: number;
  readonly previousLogNumber: number;
  /** Of the newest write that was known when it was written last. */
  readonly lastSequence: number;
}

/**
 * @param directory of a database that nobody has open
 * @returns 'begun' for one whose making was not finished, and in which nothing was ever written
 * @throws LevelDamage; the disk's own errors
 */
export async function checkLevelFiles(disk: Disk, directory: string): Promise<'whole' | 'begun'> {
  const names = new Set(await disk.list(directory));
  if (!names.has('CURRENT')) {
    const orphan = [...names].find((name) => /\.(ldb|sst|log)$/.test(name));
    if (orphan === undefined) return 'begun';
    throw new LevelDamage(`${directory}/CURRENT is missing, and ${orphan} is there`);
  }
  const current = (await disk.readFile(`${directory}/CURRENT`, 1024)).toString('latin1');
  const name = current.slice(0, -1);
  if (!/^MANIFEST-[0-9]+\n$/.test(current)) throw new LevelDamage(`${directory}/CURRENT names no manifest`);
  if (!names.has(name)) throw new LevelDamage(`${directory}/CURRENT names ${name}, which is missing`);
  // LevelDB does not sync its first manifest before CURRENT names it.
  if (name === 'MANIFEST-000001' && (await holdsNothing(disk, directory, names))) return 'begun';
  const manifest = await readManifest(disk, `${directory}/${name}`);
  await checkTables(disk, directory, names, manifest);
  await checkLogs(disk, directory, names, manifest);
  return 'whole';
}

async function holdsNothing(disk: Disk, directory: string, names: ReadonlySet<string>): Promise<boolean> {
  for (const name of names) {
    if (/\.(ldb|sst)$/.test(name)) return false;
    if (name.endsWith('.log') && (await disk.readFile(`${directory}/${name}`, FILE_BYTES_MAX)).length > 0)
      return false;
  }
  return true;
}

async function readManifest(disk: Disk, path: string): Promise<Manifest> {
  const { records, damage } = levelLogRecords(await disk.readFile(path, FILE_BYTES_MAX));
  if (damage !== undefined) throw new LevelDamage(`${path} is damaged ${damage}`);
  const tables = new Map<number, number>();
  let logNumber = 0;
  let previousLogNumber = 0;
  let lastSequence = 0;
  for (const record of records) {
    const cursor = new Cursor(record);
    while (!cursor.done) {
      const tag = cursor.varint();
      if (tag === 1) cursor.skipBytes();
      else if (tag === 2) logNumber = cursor.varint();
      else if (tag === 3) cursor.varint();
      else if (tag === 4) lastSequence = cursor.varint();
      else if (tag === 5) {
        cursor.varint();
        cursor.skipBytes();
      } else if (tag === 6) {
        cursor.varint();
        tables.delete(cursor.varint());
      } else if (tag === 7) {
        cursor.varint();
        const number = cursor.varint();
        tables.set(number, cursor.varint());
        cursor.skipBytes();
        cursor.skipBytes();
      } else if (tag === 9) previousLogNumber = cursor.varint();
      else throw new LevelDamage(`${path} is damaged: no field has number ${tag}`);
    }
    if (cursor.overrun) throw new LevelDamage(`${path} is damaged: a record ends too early`);
  }
  if (records.length === 0) throw new LevelDamage(`${path} is damaged: it is empty`);
  return { tables, logNumber, previousLogNumber, lastSequence };
}

async function checkTables(
  disk: Disk,
  directory: string,
  names: ReadonlySet<string>,
  manifest: Manifest,
): Promise<void> {
  const read = async (number: number): Promise<{ path: string; content: Buffer }> => {
    const name = ['ldb', 'sst'].map((end) => fileName(number, end)).find((each) => names.has(each));
    if (name === undefined) throw new LevelDamage(`${directory}/${fileName(number, 'ldb')} is missing`);
    const path = `${directory}/${name}`;
    return { path, content: await disk.readFile(path, FILE_BYTES_MAX) };
  };
  const tables = [...manifest.tables];
  // The next is read while one is looked at.
  let reading = tables.length > 0 ? read(tables[0][0]) : undefined;
  for (let i = 0; reading !== undefined; i++) {
    const { path, content } = await reading;
    reading = i + 1 < tables.length ? read(tables[i + 1][0]) : undefined;
    reading?.catch(() => {}); // heard of when its turn comes, if it comes
    const bytes = tables[i][1];
    if (content.length !== bytes)
      throw new LevelDamage(`${path} has ${content.length} bytes, ${bytes} were written`);
    const damage = tableDamage(content);
    if (damage !== undefined) throw new LevelDamage(`${path} is damaged ${damage}`);
  }
}

/** Batches are numbered by their writes without gaps, from those of the tables on. */
async function checkLogs(
  disk: Disk,
  directory: string,
  names: ReadonlySet<string>,
  manifest: Manifest,
): Promise<void> {
  const numbers = [...names]
    .flatMap((name) => /^([0-9]+)\.log$/.exec(name)?.[1] ?? [])
    .map(Number)
    .filter((number) => number >= manifest.logNumber || number === manifest.previousLogNumber)
    .sort((a, b) => a - b);
  let next: number | undefined;
  for (const number of numbers) {
    const path = `${directory}/${fileName(number, 'log')}`;
    const { records, damage, torn } = levelLogRecords(await disk.readFile(path, FILE_BYTES_MAX));
    if (damage !== undefined) throw new LevelDamage(`${path} is damaged ${damage}`);
    if (torn && number !== numbers[numbers.length - 1])
      throw new LevelDamage(`${path} ends inside a record, and newer logs are there`);
    for (const record of records) {
      if (record.length < 12) throw new LevelDamage(`${path} is damaged: a batch of ${record.length} bytes`);
      const sequence = Number(record.readBigUInt64LE(0));
      if (sequence > (next ?? manifest.lastSequence + 1))
        throw new LevelDamage(`${path} is damaged: writes before number ${sequence} are missing`);
      next = sequence + record.readUInt32LE(8);
    }
  }
}

function fileName(number: number, end: string): string {
  return `${String(number).padStart(6, '0')}.${end}`;
}
