/**
 * etcdutl's list-bucket, iterate-bucket and hash: a database pair by pair, ours or etcd's, as its buckets. What the
 * lines say is in packages/store/src/transfer/dump.ts.
 */
import { CtlError, ExitCode } from '../ctl/ctl-error.ts';
import type { UtlCommand, UtlContext } from './command.ts';
import { openWorld } from './open-world.ts';

export const BUCKET_COMMANDS: readonly UtlCommand[] = [
  {
    path: ['hash'],
    usage: '[data dir or db file path]',
    short: 'hash computes the hash of db file.',
    flags: [],
    required: [],
    run: runHash,
  },
  {
    path: ['iterate-bucket'],
    usage: '[data dir or db file path] [bucket name]',
    short: 'iterate-bucket lists key-value pairs in reverse order.',
    flags: [
      {
        name: 'decode',
        kind: 'bool',
        initial: 'false',
        usage: 'true to decode Protocol Buffer encoded data',
      },
      {
        name: 'limit',
        kind: 'uint',
        initial: '0',
        usage: 'max number of key-value pairs to iterate (0 to iterate all)',
      },
    ],
    required: [],
    run: runIterate,
  },
  {
    path: ['list-bucket'],
    usage: '[data dir or db file path]',
    short: 'bucket lists all buckets.',
    flags: [],
    required: [],
    run: runList,
  },
];

/** @throws CtlError in cobra's words */
function exactly(args: readonly string[], count: number): readonly string[] {
  if (args.length !== count)
    throw new CtlError(ExitCode.Error, `accepts ${count} arg(s), received ${args.length}`);
  return args;
}

async function runList(context: UtlContext): Promise<void> {
  const [path = ''] = exactly(context.args, 1);
  const { store, world } = await openWorld(context, 'etcdutl/bucket_command.go', path);
  await store.withDatabase(world, path, false, (database) => {
    for (const name of store.dumpBuckets(database)) context.io.out(`${name}\n`);
    return Promise.resolve();
  });
}

async function runIterate(context: UtlContext): Promise<void> {
  const [path = '', bucket = ''] = exactly(context.args, 2);
  const { io, flags } = context;
  const limit = flags.int('limit') || Infinity;
  const { store, world } = await openWorld(context, 'etcdutl/bucket_command.go', path);
  await store.withDatabase(world, path, false, async (database) => {
    // Databases are read forward; only what is shown is kept.
    const lines: string[] = [];
    for await (const line of store.dumpBucket(database, bucket, 0, flags.bool('decode'))) {
      lines.push(line);
      if (lines.length >= 2 * limit) lines.splice(0, limit);
    }
    const shown = limit === Infinity ? lines : lines.slice(-limit);
    for (const line of shown.toReversed()) io.out(`${line}\n`);
  });
}

async function runHash(context: UtlContext): Promise<void> {
  const [path = ''] = exactly(context.args, 1);
  const { store, world } = await openWorld(context, 'etcdutl/bucket_command.go', path);
  const hash = await store.withDatabase(world, path, false, (database) =>
    store.hashBuckets(database.buckets),
  );
  context.io.out(`db path: ${path}\nHash: ${hash}\n`);
}
