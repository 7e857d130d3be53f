/**
 * `keelson store export` and `keelson store dump`: a stopped member's data as the data dir of a real etcd, and as
 * text. What they do is in packages/store/src/transfer.
 */
import { CtlError, ExitCode } from '../ctl/ctl-error.ts';
import { describeFlags, FlagError, parseFlags, type FlagSpec, type ParsedFlags } from '../flags.ts';
import type { Io } from '../io.ts';
import { errorMessage } from '../plain.ts';
import { consoleLogger } from './console-logger.ts';
import { isExpected } from './expected.ts';

interface StoreTool {
  readonly name: string;
  readonly usage: string;
  readonly flags: readonly FlagSpec[];
  /** How many arguments it takes. */
  readonly args: readonly [least: number, most: number];
  run(parsed: ParsedFlags, io: Io): Promise<void>;
}

const WAL_DIR: FlagSpec = {
  name: 'wal-dir',
  kind: 'string',
  initial: '',
  usage: "The member's --wal-dir, if it has one",
};

const TOOLS: readonly StoreTool[] = [
  {
    name: 'export',
    usage: 'DIR',
    flags: [
      {
        name: 'data-dir',
        kind: 'string',
        initial: 'default.etcd',
        usage: 'Data dir of the member, which must not run',
      },
      WAL_DIR,
    ],
    args: [1, 1],
    run: async ({ values, args: [target = ''] }, io) => {
      const { exportMember } = await import('@keelson/store');
      await exportMember(
        { dataDir: values.string('data-dir'), walDir: values.string('wal-dir'), target },
        consoleLogger(io, 'transfer/export-directory.ts'),
      );
    },
  },
  {
    name: 'dump',
    usage: 'log DATA_DIR | db FILE_OR_DATA_DIR [BUCKET]',
    flags: [
      { name: 'start-index', kind: 'int', initial: '0', usage: 'log: the first entry shown' },
      WAL_DIR,
      { name: 'limit', kind: 'int', initial: '0', usage: 'db: pairs shown at most, 0 for all' },
      { name: 'raw', kind: 'bool', initial: 'false', usage: 'db: keys and values as they are stored' },
    ],
    args: [2, 3],
    run: dump,
  },
];

/** Whether what follows `keelson store` is one of these and no flag of a server. */
export function isStoreTool(argv: readonly string[]): boolean {
  return TOOLS.some(({ name }) => name === argv[0]);
}

/** @param argv what follows `keelson store`. @returns the exit code */
export async function runStoreTool(argv: readonly string[], io: Io): Promise<number> {
  const tool = TOOLS.find(({ name }) => name === argv[0]);
  if (tool === undefined) throw new TypeError(`no tool ${argv[0]}`);
  const usage = `Usage:\n  keelson store ${tool.name} ${tool.usage} [flags]\n\nFlags:\n${describeFlags(tool.flags)}`;
  let parsed: ParsedFlags;
  try {
    parsed = parseFlags(tool.flags, argv.slice(1));
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    io.err(`Error: ${error.message}\n${usage}`);
    return ExitCode.Error;
  }
  if (parsed.help) {
    io.out(usage);
    return ExitCode.Success;
  }
  const [least, most] = tool.args;
  if (parsed.args.length < least || parsed.args.length > most) {
    io.err(`Error: ${tool.name} takes ${tool.usage}\n${usage}`);
    return ExitCode.BadArgs;
  }
  try {
    await tool.run(parsed, io);
    return ExitCode.Success;
  } catch (error) {
    if (!isExpected(error)) throw error;
    io.err(`Error: ${errorMessage(error)}\n`);
    return error instanceof CtlError ? error.exitCode : ExitCode.Error;
  }
}

async function dump({ values, args }: ParsedFlags, io: Io): Promise<void> {
  const [what, path = '', bucket] = args;
  const store = await import('@keelson/store');
  const world = store.offlineWorld(consoleLogger(io, 'transfer/dump.ts'));
  const print = async (lines: AsyncIterable<string> | Iterable<string>): Promise<void> => {
    for await (const line of lines) io.out(`${line}\n`);
  };
  if (what === 'log' && bucket === undefined)
    return print(store.dumpLog(world, path, values.string('wal-dir'), values.int('start-index')));
  if (what !== 'db')
    throw new CtlError(ExitCode.BadArgs, 'dump takes log DATA_DIR or db FILE_OR_DATA_DIR [BUCKET]');
  return store.withDatabase(world, path, false, (database) =>
    print(
      bucket === undefined
        ? store.dumpBuckets(database)
        : store.dumpBucket(database, bucket, values.int('limit'), !values.bool('raw')),
    ),
  );
}
