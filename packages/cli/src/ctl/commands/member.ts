/** member: add, remove, update, promote, list. */
import type { etcdserverpb } from '@keelson/proto';
import type { FlagSpec } from '../../flags.ts';
import { GoTextError, parseUint64, quoteText } from '../../go-text.ts';
import type { Command } from '../command.ts';
import { CtlError, ExitCode, badArgs } from '../ctl-error.ts';

const peerUrls = (of: string): FlagSpec => ({
  name: 'peer-urls',
  kind: 'string',
  initial: '',
  usage: `comma separated peer URLs for the ${of} member.`,
});

/** @throws CtlError */
function memberId(args: readonly string[]): bigint {
  const [text] = args;
  if (text === undefined || args.length !== 1) throw badArgs('member ID is not provided');
  try {
    return parseUint64(text, 16);
  } catch (error) {
    if (!(error instanceof GoTextError)) throw error;
    throw badArgs(`bad member ID arg (${error.message}), expecting ID in Hex`);
  }
}

/** Peer URLs as etcd's client takes them, checked before anything is sent. @throws CtlError */
export function urlsOf(text: string): string[] {
  if (text === '') throw badArgs('member peer urls not provided');
  return text.split(',').map((each) => {
    const url = each.trim();
    const why = urlProblem(url);
    if (why !== undefined) throw new CtlError(ExitCode.Error, `${why}: ${url}`);
    return url;
  });
}

function urlProblem(url: string): string | undefined {
  const [, scheme, rest = ''] = /^([a-z]+):\/\/(.*)$/.exec(url) ?? [];
  if (scheme === 'unix' || scheme === 'unixs') return undefined;
  if (scheme !== 'http' && scheme !== 'https') return 'URL scheme must be http, https, unix, or unixs';
  const [host = '', ...path] = rest.split('/');
  if (!/^(?:\[[^\]]*\]|[^:[\]]*):[^:]*$/.test(host)) return 'URL address does not have the form "host:port"';
  return path.length > 0 ? 'URL must not contain a path' : undefined;
}

const add: Command = {
  path: ['member', 'add'],
  usage: '<memberName> [options]',
  short: 'Adds a member into the cluster',
  flags: [
    {
      name: 'learner',
      kind: 'bool',
      initial: 'false',
      usage: 'indicates if the new member is raft learner',
    },
    peerUrls('new'),
  ],
  async run({ flags, args, io, printer, client }) {
    const [name, ...others] = args;
    if (name === undefined) throw badArgs('member name not provided');
    if (others.length > 0) {
      const urls = args.filter((word) => word.toLowerCase().startsWith('http'));
      const hint = urls.map((url) => `, did you mean --peer-urls=${url}`).join('');
      throw badArgs(`too many arguments${hint}`);
    }
    const urls = urlsOf(flags.string('peer-urls'));
    const response = await client().cluster.memberAdd(urls, { learner: flags.bool('learner') });
    printer.memberChange({ kind: 'added', response });
    // What its server is to be started with; only people read this.
    if (printer.format === 'simple') io.out(startingVariables(name, flags.string('peer-urls'), response));
    return ExitCode.Success;
  },
};

function startingVariables(
  name: string,
  urls: string,
  { member, members }: etcdserverpb.MemberAddResponse,
): string {
  const cluster = members.flatMap((each) =>
    each.peerURLs.map((url) => `${each.ID === member?.ID ? name : each.name}=${url}`),
  );
  return `
ETCD_NAME=${quoteText(name)}
ETCD_INITIAL_CLUSTER=${quoteText(cluster.join(','))}
ETCD_INITIAL_ADVERTISE_PEER_URLS=${quoteText(urls)}
ETCD_INITIAL_CLUSTER_STATE="existing"
`;
}

const remove: Command = {
  path: ['member', 'remove'],
  usage: '<memberID>',
  short: 'Removes a member from the cluster',
  flags: [],
  async run({ args, printer, client }) {
    const id = memberId(args);
    printer.memberChange({ kind: 'removed', id, response: await client().cluster.memberRemove(id) });
    return ExitCode.Success;
  },
};

const update: Command = {
  path: ['member', 'update'],
  usage: '<memberID> [options]',
  short: 'Updates a member in the cluster',
  flags: [peerUrls('updated')],
  async run({ flags, args, printer, client }) {
    const id = memberId(args);
    const urls = urlsOf(flags.string('peer-urls'));
    printer.memberChange({ kind: 'updated', id, response: await client().cluster.memberUpdate(id, urls) });
    return ExitCode.Success;
  },
};

const promote: Command = {
  path: ['member', 'promote'],
  usage: '<memberID>',
  short: 'Promotes a non-voting member in the cluster',
  long: 'Promotes a non-voting learner member to a voting one in the cluster.',
  flags: [],
  async run({ args, printer, client }) {
    const id = memberId(args);
    printer.memberChange({ kind: 'promoted', id, response: await client().cluster.memberPromote(id) });
    return ExitCode.Success;
  },
};

const list: Command = {
  path: ['member', 'list'],
  usage: '',
  short: 'Lists all members in the cluster',
  long: `When --write-out is set to simple, this command prints out comma-separated member lists for each endpoint.
The items in the lists are ID, Status, Name, Peer Addrs, Client Addrs, Is Learner.`,
  flags: [{ name: 'consistency', kind: 'string', initial: 'l', usage: 'Linearizable(l) or Serializable(s)' }],
  async run({ flags, printer, client }) {
    const consistency = flags.string('consistency');
    if (consistency !== 's' && consistency !== 'l') {
      throw new CtlError(ExitCode.BadFeature, `unknown consistency flag "${consistency}"`);
    }
    printer.memberList(await client().cluster.memberList({ serializable: consistency === 's' }));
    return ExitCode.Success;
  },
};

export const memberCommands: readonly Command[] = [add, remove, update, promote, list];
