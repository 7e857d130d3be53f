/**
 * The commands of etcdutl as a table that dispatch and help both read: words, flags, and what each does. Flags,
 * defaults, texts and exit codes are etcdutl 3.7's. The store is loaded only when a command needs it.
 */
import { CtlError, ExitCode, badArgs } from '../ctl/ctl-error.ts';
import type { FlagSpec } from '../flags.ts';
import { SHELLS, completionScript } from '../ctl/completion.ts';
import { quoteText } from '../go-text.ts';
import { errorCode, errorMessage } from '../plain.ts';
import { API_VERSION, ETCD_VERSION } from '../version.ts';
import { BUCKET_COMMANDS } from './bucket-commands.ts';
import type { UtlCommand, UtlContext } from './command.ts';
import { openWorld } from './open-world.ts';
import { hashShown, show, statusShown } from './printers.ts';

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

const COMPLETION: UtlCommand = {
  path: ['completion'],
  usage: '[bash|zsh|fish|powershell]',
  short: 'Generate completion script',
  flags: [],
  required: [],
  run: ({ args, io }) => {
    const [wanted = ''] = args;
    if (args.length !== 1) throw new CtlError(ExitCode.Error, `accepts 1 arg(s), received ${args.length}`);
    const shell = SHELLS.find((candidate) => candidate === wanted);
    if (shell === undefined)
      throw new CtlError(ExitCode.Error, `invalid argument ${quoteText(wanted)} for "etcdutl completion"`);
    io.out(completionScript(shell, 'etcdutl'));
    return Promise.resolve();
  },
};

export const COMMANDS: readonly UtlCommand[] = [
  COMPLETION,
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
    run: ({ io }: UtlContext) => {
      io.out(`etcdutl version: ${ETCD_VERSION}\nAPI version: ${API_VERSION}\n`);
      return Promise.resolve();
    },
  },
  ...BUCKET_COMMANDS,
].sort((a, b) => (a.path.join(' ') < b.path.join(' ') ? -1 : 1));

async function runStatus(context: UtlContext): Promise<void> {
  const { io, flags, args } = context;
  const [path] = args;
  if (path === undefined || args.length !== 1) throw badArgs('snapshot status requires exactly one argument');
  const { store, world } = await openWorld(context, 'snapshot/v3_snapshot.go', path);
  const status = await store.withDatabase(world, path, true, store.snapshotStatus);
  io.out(show(flags.string('write-out'), statusShown(status)));
}

async function runHashKV(context: UtlContext): Promise<void> {
  const { io, flags, args } = context;
  const [path] = args;
  if (path === undefined || args.length !== 1)
    throw new CtlError(ExitCode.Error, `accepts 1 arg(s), received ${args.length}`);
  const { store, world } = await openWorld(context, 'etcdutl/hashkv_command.go', path);
  const hash = await store.withDatabase(world, path, false, (database) =>
    store.offlineHashKV(database, flags.int('rev')),
  );
  io.out(show(flags.string('write-out'), hashShown(hash)));
}

async function runRestore(context: UtlContext): Promise<void> {
  const { flags, args } = context;
  const [snapshotPath] = args;
  if (snapshotPath === undefined || args.length !== 1)
    throw badArgs('snapshot restore requires exactly one argument');
  const bumpRevision = flags.int('bump-revision');
  if (bumpRevision > 0 !== flags.bool('mark-compacted'))
    throw badArgs('--mark-compacted required if --revision-bump > 0');
  const { store, world } = await openWorld(context, 'snapshot/v3_snapshot.go');
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
    world,
  );
}

async function runDefrag(context: UtlContext): Promise<void> {
  const { flags } = context;
  const dataDir = flags.string('data-dir');
  const { store, world } = await openWorld(context, 'backend/backend.go');
  try {
    await store.defragment(world, dataDir);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const why = errorCode(error) === undefined ? error.message : errorMessage(error);
    throw new CtlError(ExitCode.Error, `Failed to defragment etcd data[${dataDir}] (${why})`, error);
  }
}

async function runMigrate(context: UtlContext): Promise<void> {
  const { flags } = context;
  const target = targetVersion(flags.string('target-version'));
  const { store, world } = await openWorld(context, 'schema/migration.go');
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
