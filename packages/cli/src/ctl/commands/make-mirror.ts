/**
 * make-mirror: copies a prefix into another cluster and follows its changes until it is told to stop. What
 * changed in one revision arrives in one transaction, as long as that many operations are allowed.
 */
import { EtcdError, op, type Client } from '@keelson/client';
import { mvccpb, type etcdserverpb } from '@keelson/proto';
import { FlagValues, type FlagSpec } from '../../flags.ts';
import { bytesOf } from '../../go-text.ts';
import type { Command, CommandContext } from '../command.ts';
import { ExitCode, badArgs } from '../ctl-error.ts';
import { GLOBAL_FLAGS } from '../globals.ts';
import { clientFactory, credentialsOf } from '../session.ts';
import { tlsOf } from '../tls.ts';

/** How often the number of keys written is told. */
const TELL_MS = 30_000;
/** Puts under way at once while the keys that are there are copied: the order among them means nothing. */
const PUTS_IN_FLIGHT = 32;

const text = (name: string, usage: string): FlagSpec => ({ name, kind: 'string', initial: '', usage });

const flags: readonly FlagSpec[] = [
  text('dest-cacert', 'Verify certificates of TLS enabled secure servers using this CA bundle'),
  text('dest-cert', 'Identify secure client using this TLS certificate file for the destination cluster'),
  {
    name: 'dest-insecure-transport',
    kind: 'bool',
    initial: 'true',
    usage: 'Disable transport security for client connections',
  },
  text('dest-key', 'Identify secure client using this TLS key file'),
  text(
    'dest-password',
    "Destination password for authentication (if this option is used, --user option shouldn't include password)",
  ),
  text(
    'dest-prefix',
    'destination prefix to mirror a prefix to a different prefix in the destination cluster',
  ),
  text(
    'dest-user',
    'Destination username[:password] for authentication (prompt if password is not supplied)',
  ),
  {
    name: 'max-txn-ops',
    kind: 'uint',
    initial: '128',
    usage: 'Maximum number of operations permitted in a transaction during syncing updates.',
  },
  {
    name: 'no-dest-prefix',
    kind: 'bool',
    initial: 'false',
    usage: 'mirror key-values to the root of the destination cluster',
  },
  text('prefix', 'Key-value prefix to mirror'),
  { name: 'rev', kind: 'int', initial: '0', usage: 'Specify the kv revision to start to mirror' },
];

export const makeMirror: Command = {
  path: ['make-mirror'],
  usage: '[options] <destination>',
  short: 'Makes a mirror at the destination etcd cluster',
  stops: true,
  flags,
  async run(context) {
    const { args, flags: values, io, stopping } = context;
    const [destination] = args;
    if (destination === undefined || args.length !== 1)
      throw badArgs('make-mirror takes one destination argument');
    if (values.bool('no-dest-prefix') && values.string('dest-prefix') !== '')
      throw badArgs('`--dest-prefix` and `--no-dest-prefix` cannot be set at the same time, choose one');
    const target = await destinationClient(context, destination);
    const mirror = new Mirror(context.client(), target, values, stopping);
    const timer = setInterval(() => io.out(`${mirror.total}\n`), TELL_MS);
    try {
      await mirror.run();
      return ExitCode.Interrupted;
    } catch (error) {
      if (error instanceof EtcdError && stopping.aborted) return ExitCode.Interrupted;
      throw error;
    } finally {
      clearInterval(timer);
      target.close();
    }
  },
};

/** The --dest flags mean for the destination what those without "dest-" mean for the source. */
async function destinationClient(
  { flags: given, io, tap }: CommandContext,
  endpoint: string,
): Promise<Client> {
  const values = new FlagValues(GLOBAL_FLAGS);
  for (const spec of GLOBAL_FLAGS) {
    const name = `dest-${spec.name}`;
    const known = flags.some((flag) => flag.name === name);
    if (known && given.changed(name)) values.set(spec, given.string(name));
    if (/^(?:dial|keepalive|command)-/.test(spec.name)) values.set(spec, given.string(spec.name));
  }
  return clientFactory(values, await credentialsOf(values, io), tlsOf(values), tap)([endpoint]);
}

class Mirror {
  /** Keys written and deleted so far. */
  total = 0;
  private readonly source: Client;
  private readonly target: Client;
  private readonly prefix: Buffer;
  private readonly targetPrefix: Buffer;
  private readonly opsMax: number;
  /** 0: everything that is there, then what changes. */
  private readonly startRevision: number;
  private readonly signal: AbortSignal;

  constructor(source: Client, target: Client, values: FlagValues, signal: AbortSignal) {
    this.source = source;
    this.target = target;
    this.signal = signal;
    this.prefix = bytesOf(values.string('prefix'));
    const other = bytesOf(values.string('dest-prefix'));
    this.targetPrefix = other.length > 0 || values.bool('no-dest-prefix') ? other : this.prefix;
    this.opsMax = Math.max(1, values.int('max-txn-ops'));
    this.startRevision = Math.max(0, values.int('rev') - 1);
  }

  /** Resolves when told to stop. @throws EtcdError of either side; COMPACTED when history is gone */
  async run(): Promise<void> {
    const copied = this.startRevision > 0 ? this.startRevision : await this.copy();
    const watcher = this.source.watch.create(this.prefix, { prefix: true, startRevision: copied + 1 });
    const stop = (): void => watcher.cancel();
    this.signal.addEventListener('abort', stop, { once: true });
    if (this.signal.aborted) stop();
    for await (const { events } of watcher) await this.follow(events);
  }

  /** Every key at one revision. @returns the revision */
  private async copy(): Promise<number> {
    let revision = 0;
    for await (const page of this.source.kv.pages(this.prefix, { prefix: true, signal: this.signal })) {
      revision ||= page.header?.revision ?? 0;
      for (let at = 0; at < page.kvs.length; at += PUTS_IN_FLIGHT) {
        const some = page.kvs.slice(at, at + PUTS_IN_FLIGHT);
        await Promise.all(some.map((kv) => this.target.kv.put(this.renamed(kv.key), kv.value)));
        this.total += some.length;
      }
    }
    return revision;
  }

  private async follow(events: readonly mvccpb.Event[]): Promise<void> {
    let revision = 0;
    let operations: etcdserverpb.RequestOp[] = [];
    const flush = async (): Promise<void> => {
      const success = operations;
      operations = [];
      if (success.length > 0) await this.target.kv.txn({ success });
      this.total += success.length;
    };
    for (const { type, kv } of events) {
      if (kv === undefined) continue;
      if (kv.modRevision !== revision || operations.length >= this.opsMax) await flush();
      revision = kv.modRevision;
      const key = this.renamed(kv.key);
      operations.push(type === mvccpb.EventType.PUT ? op.put(key, kv.value) : op.delete(key));
    }
    await flush();
  }

  private renamed(key: Buffer): Buffer {
    return Buffer.concat([this.targetPrefix, key.subarray(this.prefix.length)]);
  }
}
