/** `keelson snapshot status`: etcdutl's for a file; for a backup folder what is in it, checked, and where one can return to. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { hexId } from '@keelson/base';
import type { BackupPoint, BackupStatus, ChainStatus } from '@keelson/store';
import { badArgs, CtlError, ExitCode } from '../ctl/ctl-error.ts';
import { describeFlags, FlagError, parseFlags, type FlagSpec } from '../flags.ts';
import { formatSize } from '../go-text.ts';
import type { Io } from '../io.ts';
import { errorMessage } from '../plain.ts';
import { consoleLogger } from '../utl/console-logger.ts';
import { isExpected } from '../utl/expected.ts';
import { runUtl } from '../utl/utl.ts';

const FLAGS: readonly FlagSpec[] = [
  { name: 'write-out', short: 'w', kind: 'string', initial: 'simple', usage: 'set the output format (fields, json, simple, table; of a folder json and simple)' }, // prettier-ignore
];

const USAGE = `Shows what a saved snapshot or a backup folder holds

Usage:
  keelson snapshot status <filename> | <folder> [flags]

Every file of a folder is compared with its checksum; the exit code is 1 when one is damaged.

Flags:
${describeFlags(FLAGS)}`;

/** @param argv what follows `keelson snapshot status`. @returns the exit code */
export async function status(argv: readonly string[], io: Io): Promise<number> {
  try {
    const { values, args, help } = parseFlags(FLAGS, argv);
    if (help) {
      io.out(USAGE);
      return ExitCode.Success;
    }
    const [name] = args;
    const isFolder =
      name !== undefined &&
      (await stat(name).then(
        (found) => found.isDirectory(),
        () => false,
      ));
    if (!isFolder) return await runUtl(['snapshot', 'status', ...argv], io);
    if (args.length !== 1) throw badArgs('snapshot status requires exactly one argument');
    const format = values.string('write-out');
    if (format !== 'simple' && format !== 'json')
      throw new CtlError(ExitCode.BadFeature, 'unsupported output format');
    const store = await import('@keelson/store');
    const world = store.offlineWorld(consoleLogger(io, 'transfer/backup-status.ts'));
    const found = await store.backupStatus(world, path.resolve(name));
    io.out(format === 'json' ? `${JSON.stringify(jsonOf(found))}\n` : textOf(found));
    return found.chains.every(isWhole) ? ExitCode.Success : ExitCode.Error;
  } catch (error) {
    if (error instanceof FlagError) {
      io.err(`Error: ${error.message}\n${USAGE}`);
      return ExitCode.Error;
    }
    if (!isExpected(error)) throw error;
    io.err(`Error: ${errorMessage(error)}\n`);
    return error instanceof CtlError ? error.exitCode : ExitCode.Error;
  }
}

function isWhole({ base, increments }: ChainStatus): boolean {
  return [base, ...increments].every(({ damage }) => damage === undefined);
}

const time = (ms: number): string => new Date(ms).toISOString();

function textOf({ clusterId, chains }: BackupStatus): string {
  const lines = [`cluster ${hexId(clusterId)}`];
  for (const { directory, base, increments, points } of chains) {
    lines.push('', directory);
    lines.push(
      `  ${base.item.file}: a base of member ${hexId(base.item.memberId)}: revision ${base.item.revision}, ` +
        `entry ${base.item.index}, ${time(base.item.timeMs)}, ${formatSize(base.item.bytes)}`,
    );
    if (base.damage !== undefined) lines.push(`    DAMAGED: ${base.damage}`);
    for (const { item, damage } of increments) {
      const end = item.points.at(-1);
      lines.push(
        `  ${item.file}: entries ${item.first.index} to ${end?.index}, up to revision ${end?.revision}, ` +
          `${time(end?.timeMs ?? 0)}, ${formatSize(item.bytes)}`,
      );
      if (damage !== undefined) lines.push(`    DAMAGED: ${damage}`);
    }
    lines.push(`  ${reachable(points)}`);
  }
  return `${lines.join('\n')}\n`;
}

function reachable(points: readonly BackupPoint[]): string {
  const [first] = points;
  const last = points.at(-1);
  if (first === undefined || last === undefined) return 'nothing of it can be restored';
  return `reachable: revisions ${first.revision} to ${last.revision}, times ${time(first.timeMs)} to ${time(last.timeMs)}`;
}

function jsonOf({ clusterId, chains }: BackupStatus): object {
  const pointOf = ({ index, term, revision, timeMs }: BackupPoint): object => ({
    index,
    term,
    revision,
    time: time(timeMs),
  });
  return {
    clusterId: hexId(clusterId),
    chains: chains.map(({ directory, base, increments, points }) => ({
      directory,
      base: {
        file: base.item.file,
        memberId: hexId(base.item.memberId),
        bytes: base.item.bytes,
        sha256: base.item.sha256,
        ...pointOf(base.item),
        ...(base.damage === undefined ? {} : { damage: base.damage }),
      },
      increments: increments.map(({ item, damage }) => ({
        file: item.file,
        memberId: hexId(item.memberId),
        bytes: item.bytes,
        sha256: item.sha256,
        first: item.first,
        points: item.points.map(pointOf),
        ...(damage === undefined ? {} : { damage }),
      })),
      reachable: points.map(pointOf),
    })),
  };
}
