/**
 * The commands of etcdutl as a table that dispatch and help both read: words, flags, and what each does. Flags,
 * defaults, texts and exit codes are etcdutl 3.7's. The store is loaded only when a command needs it.
 */
import { CtlError, ExitCode, badArgs } from '../ctl/ctl-error.ts';
import type { FlagSpec, FlagValues } from '../flags.ts';
import { quoteText } from '../go-text.ts';
import type { Io } from '../io.ts';
import { errorCode, errorMessage } from '../plain.ts';
import { API_VERSION, ETCD_VERSION } from '../version.ts';
import { consoleLogger } from './console-logger.ts';
import { hashShown, show, statusShown } from './printers.ts';

export interface UtlContext {
  readonly io: Io;
  readonly flags: FlagValues;
  readonly args: readonly string[];
}

export interface UtlCommand {
  readonly path: readonly string[];
  /** How it is called, after its words. */
  readonly usage: string;
  readonly short: string;
  readonly flags: readonly FlagSpec[];
  /** Names of flags that must be given. */
  readonly required: readonly string[];
  readonly hidden?: boolean;
  /** @throws CtlError, FatalError, BboltError, an error of the system */
  run(context: UtlContext): Promise<void>;
}

const text = (name: string, initial: string, usage: string): FlagSpec => ({
  name,
  kind: 'string',
  initial,
  usage,
});
const flag = (name: string, usage: string): FlagSpec => ({ name, kind: 'bool', initial: 'false', usage });
const count = (name: string, initial: string, usage: string): FlagSpec => ({
  name,
  kind: 'int',
  initial,
  usage,
});

const DEFRAG_DIR = text('data-dir', '', 'Required. Defragments a data directory not in use by etcd.');

/** Of snapshot restore. */
export const RESTORE_FLAGS: readonly FlagSpec[] = [
  count('bump-revision', '0', 'How much to increase the latest revision after restore'),
  text('data-dir', '', 'Path to the output data directory'),
  text('initial-advertise-peer-urls', 'http://localhost:2380', "List of this member's peer URLs to advertise to the rest of the cluster"), // prettier-ignore
  text('initial-cluster', 'default=http://localhost:2380', 'Initial cluster configuration for restore bootstrap'), // prettier-ignore
  text('initial-cluster-token', 'etcd-cluster', 'Initial cluster token for the etcd cluster during restore bootstrap'), // prettier-ignore
  count('initial-memory-map-size', '10737418240', 'Initial memory map size of the database in bytes. Taken and not used: nothing is mapped'), // prettier-ignore
  flag('mark-compacted', 'Mark the latest revision after restore as the point of scheduled compaction (required if --bump-revision > 0, disallowed otherwise)'), // prettier-ignore
  text('name', 'default', 'Human-readable name for this member'),
  flag('skip-hash-check', 'Ignore snapshot integrity hash value (required if copied from data directory)'),
  text('wal-dir', '', 'Path to the WAL directory (use --data-dir if none given)'),
];

export const COMMANDS: readonly UtlCommand[] = [
  {
    path: ['defrag'],
    usage: '',
    short: 'Defragments the storage of the etcd',
    flags: [DEFRAG_DIR],
    required: ['data-dir'],
    run: runDefrag,
  },
  {
    path: ['hashkv'],
    usage: '<filename>',
    short: 'Prints the KV history hash of a given file',
    flags: [count('rev', '0', 'maximum revision to hash (default: latest revision)')],
    required: [],
    run: runHashKV,
  },
  {
    path: ['migrate'],
    usage: '',
    short: 'Migrates schema of etcd data dir files to make them compatible with different etcd version',
    flags: [
      text('data-dir', '', 'Path to the etcd data dir'),
      flag('force', 'Ignore migration failure and forcefully override storage version. Not recommended.'),
      text('target-version', '', 'Target etcd version to migrate contents of data dir. Minimal value 3.5. Format "X.Y" for example 3.6.'), // prettier-ignore
    ],
    required: ['data-dir', 'target-version'],
    run: runMigrate,
  },
  {
    path: ['snapshot', 'restore'],
    usage: '<filename> --data-dir {output dir} [options]',
    short: 'Restores an etcd member snapshot to an etcd directory',
    flags: RESTORE_FLAGS,
    required: ['data-dir'],
    run: runRestore,
  },
  {
    path: ['snapshot', 'save'],
    usage: '<filename>',
    short: 'Stores an etcd node backend snapshot to a given file',
    flags: [],
    required: [],
    hidden: true,
    run: () => Promise.reject(badArgs('In order to download snapshot use: `etcdctl snapshot save ...`')),
  },
  {
    path: ['snapshot', 'status'],
    usage: '<filename>',
    short: 'Gets backend snapshot status of a given file',
    flags: [],
    required: [],
    run: runStatus,
  },
  {
    path: ['version'],
    usage: '',
    short: 'Prints the version of etcdutl',
    flags: [],
    required: [],
    run: ({ io }) => {
      io.out(`etcdutl version: ${ETCD_VERSION}\nAPI version: ${API_VERSION}\n`);
      return Promise.resolve();
    },
  },
];

async function runStatus({ io, flags, args }: UtlContext): Promise<void> {
  const [path] = args;
  if (path === undefined || args.length !== 1) throw badArgs('snapshot status requires exactly one argument');
  const store = await import('@keelson/store');
  const world = store.offlineWorld(consoleLogger(io, 'snapshot/v3_snapshot.go'));
  await requireExists(world.disk, path);
  const status = await store.withDatabase(world, path, true, store.snapshotStatus);
  io.out(show(flags.string('write-out'), statusShown(status)));
}

async function runHashKV({ io, flags, args }: UtlContext): Promise<void> {
  const [path] = args;
  if (path === undefined || args.length !== 1)
    throw new CtlError(ExitCode.Error, `accepts 1 arg(s), received ${args.length}`);
  const store = await import('@keelson/store');
  const world = store.offlineWorld(consoleLogger(io, 'etcdutl/hashkv_command.go'));
  await requireExists(world.disk, path);
  const hash = await store.withDatabase(world, path, false, (database) =>
    store.offlineHashKV(database, flags.int('rev')),
  );
  io.out(show(flags.string('write-out'), hashShown(hash)));
}

/** @throws CtlError in the words of Go's stat */
async function requireExists(disk: { exists(path: string): Promise<boolean> }, path: string): Promise<void> {
  if (!(await disk.exists(path)))
    throw new CtlError(ExitCode.Error, `stat ${path}: no such file or directory`);
}

async function runRestore({ io, flags, args }: UtlContext): Promise<void> {
  const [snapshotPath] = args;
  if (snapshotPath === undefined || args.length !== 1)
    throw badArgs('snapshot restore requires exactly one argument');
  const bumpRevision = flags.int('bump-revision');
  if (bumpRevision > 0 !== flags.bool('mark-compacted'))
    throw badArgs('--mark-compacted required if --revision-bump > 0');
  const store = await import('@keelson/store');
  await store.restoreSnapshot(
    {
      snapshotPath,
      name: flags.string('name'),
      dataDir: flags.string('data-dir') || `${flags.string('name')}.etcd`,
      walDir: flags.string('wal-dir'),
      peerUrls: flags.string('initial-advertise-peer-urls').split(','),
      initialCluster: flags.string('initial-cluster'),
      initialClusterToken: flags.string('initial-cluster-token'),
      skipHashCheck: flags.bool('skip-hash-check'),
      bumpRevision,
    },
    store.offlineWorld(consoleLogger(io, 'snapshot/v3_snapshot.go')),
  );
}

async function runDefrag({ io, flags }: UtlContext): Promise<void> {
  const dataDir = flags.string('data-dir');
  const store = await import('@keelson/store');
  const world = store.offlineWorld(consoleLogger(io, 'backend/backend.go'));
  try {
    await store.defragment(world, dataDir);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const why = errorCode(error) === undefined ? error.message : errorMessage(error);
    throw new CtlError(ExitCode.Error, `Failed to defragment etcd data[${dataDir}] (${why})`, error);
  }
}

async function runMigrate({ io, flags }: UtlContext): Promise<void> {
  const target = targetVersion(flags.string('target-version'));
  const store = await import('@keelson/store');
  const world = store.offlineWorld(consoleLogger(io, 'schema/migration.go'));
  await store.migrate(world, flags.string('data-dir'), target, flags.bool('force'));
}

/** @throws CtlError in etcdutl's words */
function targetVersion(given: string): { readonly major: number; readonly minor: number } {
  const parts = given.split('.');
  if (parts.length !== 2)
    throw badArgs(`wrong target version format, expected "X.Y", got ${quoteText(given)}`);
  for (const part of parts)
    if (!/^\d+$/.test(part))
      throw badArgs(
        `failed to parse target version: strconv.ParseInt: parsing ${quoteText(part)}: invalid syntax`,
      );
  const [major = 0, minor = 0] = parts.map(Number);
  if (major < 3 || (major === 3 && minor < 5))
    throw badArgs(`target version ${quoteText(`${major}.${minor}`)} not supported. Minimal "3.5"`);
  return { major, minor };
}
