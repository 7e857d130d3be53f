/** lease: grant, revoke, look at, list, keep alive. */
import { EtcdError } from '@keelson/client';
import { etcdserverpb } from '@keelson/proto';
import { GoTextError, countOf, idHex, parseInt64 } from '../../go-text.ts';
import { leaseId, type Command, type CommandContext } from '../command.ts';
import { CtlError, ExitCode, badArgs } from '../ctl-error.ts';

const grant: Command = {
  path: ['lease', 'grant'],
  usage: '<ttl>',
  short: 'Creates leases',
  flags: [],
  async run({ args, printer, client }) {
    const [ttl] = args;
    if (ttl === undefined || args.length !== 1) throw badArgs('lease grant command needs TTL argument');
    let seconds: number;
    try {
      seconds = countOf(parseInt64(ttl));
    } catch (error) {
      if (error instanceof GoTextError) throw badArgs(`bad TTL (${error.message})`);
      throw error;
    }
    printer.grant(await wrapped('failed to grant lease', client().lease.grant(seconds)));
    return ExitCode.Success;
  },
};

const revoke: Command = {
  path: ['lease', 'revoke'],
  usage: '<leaseID>',
  short: 'Revokes leases',
  flags: [],
  async run({ args, printer, client }) {
    const [text] = args;
    if (text === undefined || args.length !== 1) throw badArgs('lease revoke command needs 1 argument');
    const id = leaseId(text, 'lease ID arg');
    printer.revoke(id, await wrapped('failed to revoke lease', client().lease.revoke(id)));
    return ExitCode.Success;
  },
};

const timeToLive: Command = {
  path: ['lease', 'timetolive'],
  usage: '<leaseID> [options]',
  short: 'Get lease information',
  flags: [{ name: 'keys', kind: 'bool', initial: 'false', usage: 'Get keys attached to this lease' }],
  async run({ flags, args, printer, client }) {
    const [text] = args;
    if (text === undefined || args.length !== 1) {
      throw badArgs('lease timetolive command needs lease ID as argument');
    }
    const id = leaseId(text, 'lease ID arg');
    const keys = flags.bool('keys');
    printer.timeToLive(await connected(client().lease.timeToLive(id, { keys })), keys);
    return ExitCode.Success;
  },
};

const list: Command = {
  path: ['lease', 'list'],
  usage: '',
  short: 'List all active leases',
  flags: [],
  async run({ printer, client }) {
    printer.leases(await connected(client().lease.leases()));
    return ExitCode.Success;
  },
};

const keepAlive: Command = {
  path: ['lease', 'keep-alive'],
  usage: '[options] <leaseID>',
  short: 'Keeps leases alive (renew)',
  stops: true,
  flags: [
    {
      name: 'once',
      kind: 'bool',
      initial: 'false',
      usage: 'Resets the keep-alive time to its original value and exits immediately',
    },
  ],
  async run(context) {
    const { flags, args, client } = context;
    const [text] = args;
    if (text === undefined || args.length !== 1) {
      throw badArgs('lease keep-alive command needs lease ID as argument');
    }
    const id = leaseId(text, 'lease ID arg');
    if (!flags.bool('once')) return keep(context, id);
    const ttl = await connected(client().lease.keepAliveOnce(id));
    context.printer.keepAlive(renewal(context, id, ttl));
    return ExitCode.Success;
  },
};

/** Renews until the lease is lost or the command is told to stop. */
async function keep(context: CommandContext, id: bigint): Promise<ExitCode> {
  const { io, printer, stopping } = context;
  let failure: unknown;
  const lost = await new Promise<boolean>((resolve) => {
    const keeper = context.client().lease.keepAlive(id, {
      renewed(ttl) {
        try {
          printer.keepAlive(renewal(context, id, ttl));
        } catch (error) {
          failure = error;
          keeper.stop();
          resolve(false);
        }
      },
      lost: () => resolve(true),
    });
    stopping.addEventListener('abort', () => {
      keeper.stop();
      resolve(false);
    });
  });
  if (failure !== undefined) throw failure;
  if (!lost) return ExitCode.Interrupted;
  if (printer.format === 'simple') io.out(`lease ${idHex(id, 16)} expired or revoked.\n`);
  return ExitCode.Success;
}

function renewal({ tap }: CommandContext, id: bigint, ttl: number): etcdserverpb.LeaseKeepAliveResponse {
  return new etcdserverpb.LeaseKeepAliveResponse({ header: tap.header, ID: id, TTL: ttl });
}

/** What fails is said in etcdctl's words. */
async function wrapped<T>(what: string, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof EtcdError) {
      throw new CtlError(ExitCode.Error, `${what} (${errorText(error)})`, error);
    }
    throw error;
  }
}

/** etcdctl's exit code for these commands is the one for a bad connection, whatever failed. */
async function connected<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof EtcdError) throw new CtlError(ExitCode.BadConnection, errorText(error), error);
    throw error;
  }
}

/** What an error says to etcdctl's users: an endpoint that cannot be reached is a deadline that passed. */
export function errorText(error: EtcdError): string {
  return error.reason === 'NO_ENDPOINT' ? 'context deadline exceeded' : error.message;
}

export const leaseCommands: readonly Command[] = [grant, revoke, timeToLive, list, keepAlive];
