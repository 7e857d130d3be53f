/** The flags of `keelson up`, read and checked. */
import { FlagError, describeFlags, parseFlags, type FlagSpec, type ParsedFlags } from '../flags.ts';
import { APISERVER_OFFSET } from './ports.ts';
import { UpError } from './up-error.ts';

export interface UpOptions {
  readonly nodes: number;
  /** undefined: the ports etcd's own examples use. */
  readonly basePort: number | undefined;
  readonly dataDir: string;
  /** The data directory is a temporary one, gone at the end. */
  readonly ephemeral: boolean;
  /** Clients and members speak TLS, with certificates made below the data directory. */
  readonly tls: boolean;
  /** An API server runs before the members. */
  readonly apiserver: boolean;
  /** Ask the run that uses the data directory to start this member again, and do nothing else. */
  readonly restart: string | undefined;
}

export const NODES_MAX = 7;

const FLAGS: readonly FlagSpec[] = [
  { name: 'nodes', kind: 'int', initial: '3', usage: `how many members, 1 to ${NODES_MAX}` },
  { name: 'data-dir', kind: 'string', initial: '.keelson', usage: 'where members and their logs live' },
  {
    name: 'base-port',
    kind: 'int',
    initial: '0',
    usage:
      'member i (from 0) takes port N+2i for clients and N+2i+1 for peers, the API server N+20 (0: 2379, 22379, 32379, …, 6443)',
  },
  {
    name: 'ephemeral',
    kind: 'bool',
    initial: 'false',
    usage: 'use a temporary data directory, removed at the end',
  },
  {
    name: 'restart',
    kind: 'string',
    initial: '',
    usage: 'have the keelson up that runs on --data-dir start this member again, such as m2, or apiserver',
  },
  { name: 'no-apiserver', kind: 'bool', initial: 'false', usage: 'start the store only' },
  {
    name: 'tls',
    kind: 'bool',
    initial: 'false',
    usage: 'TLS with clients and between members; certificates are made in <data-dir>/tls',
  },
];

export function upHelp(): string {
  return `Usage: keelson up [flags]

Starts a cluster on this machine, one process a member, and an API server before it, and looks after them until Ctrl-C
or SIGTERM. Endpoints and process ids are in <data-dir>/up.json while it runs, logs in <data-dir>/m1.log and so on, the
administrator's credentials for kubectl in <data-dir>/kubeconfig.

${describeFlags(FLAGS)}`;
}

/** @returns undefined when help is asked for; @throws UpError */
export function parseUpOptions(argv: readonly string[]): UpOptions | undefined {
  let parsed: ParsedFlags;
  try {
    parsed = parseFlags(FLAGS, argv);
  } catch (error) {
    if (error instanceof FlagError) throw new UpError(`${error.message} (see keelson up --help)`);
    throw error;
  }
  const { values, args, help } = parsed;
  if (help) return undefined;
  if (args.length > 0)
    throw new UpError(`unexpected argument ${JSON.stringify(args[0])} (see keelson up --help)`);
  const nodes = values.int('nodes');
  if (nodes < 1 || nodes > NODES_MAX) throw new UpError(`--nodes must be 1 to ${NODES_MAX}, not ${nodes}`);
  const basePort = values.int('base-port');
  const apiserver = !values.bool('no-apiserver');
  const last = basePort + Math.max(2 * nodes - 1, apiserver ? APISERVER_OFFSET : 0);
  if (basePort < 0 || last > 65_535) {
    throw new UpError(`--base-port ${basePort} needs ports ${basePort} to ${last}; they end at 65535`);
  }
  const ephemeral = values.bool('ephemeral');
  if (ephemeral && values.changed('data-dir')) {
    throw new UpError('--ephemeral makes a data directory of its own: leave out --data-dir');
  }
  const dataDir = values.string('data-dir');
  if (dataDir === '') throw new UpError('--data-dir must not be empty');
  const tls = values.bool('tls');
  const restart = values.changed('restart') ? values.string('restart') : undefined;
  return {
    nodes,
    basePort: basePort === 0 ? undefined : basePort,
    dataDir,
    ephemeral,
    tls,
    apiserver,
    restart,
  };
}
