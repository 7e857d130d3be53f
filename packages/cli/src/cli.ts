/**
 * The subcommands of `keelson`, as a table that dispatch and help both read. Each loads its own part only
 * when it is called, so that `up` does not wait for the store and `ctl` not for the supervisor.
 */
import type { Io } from './io.ts';
import { API_VERSION, KEELSON_VERSION } from './version.ts';

interface Subcommand {
  readonly name: string;
  readonly usage: string;
  readonly short: string;
  /** @returns the exit code */
  run(argv: readonly string[], io: Io): Promise<number>;
}

const SUBCOMMANDS: readonly Subcommand[] = [
  {
    name: 'up',
    usage: '[--nodes 3] [--data-dir .keelson] [--base-port N] [--ephemeral] [--no-apiserver] [--tls]',
    short: 'starts a cluster and its API server on this machine and looks after them',
    run: async (argv, io) => (await import('./up/up.ts')).runUp(argv, io),
  },
  {
    name: 'store',
    usage: '<any etcd flag>',
    short: 'runs one member, as etcd; `store export` and `store dump` are for one that does not run',
    run: async (argv, io) => {
      const tools = await import('./utl/store-tools.ts');
      if (tools.isStoreTool(argv)) return tools.runStoreTool(argv, io);
      return (await import('@keelson/store')).main(argv, io.env);
    },
  },
  {
    name: 'util',
    usage: '<command> …',
    short: "etcdutl's commands, on files of members that do not run",
    run: async (argv, io) => (await import('./utl/utl.ts')).runUtl(argv, io),
  },
  {
    name: 'snapshot',
    usage: 'save|restore|status …',
    short: 'saved snapshots and incremental backups: to return to any revision or time',
    run: async (argv, io) => (await import('./snapshot/snapshot.ts')).runSnapshot(argv, io),
  },
  {
    name: 'ctl',
    usage: '<command> …',
    short: "etcdctl's commands, and compare-and-swap",
    run: async (argv, io) => (await import('./ctl/ctl.ts')).runCtl(argv, io),
  },
  {
    name: 'etcdctl',
    usage: '<command> …',
    short: 'the same under its own name, as bin/etcdctl calls it',
    run: async (argv, io) => (await import('./ctl/ctl.ts')).runCtl(argv, io, 'etcdctl'),
  },
  {
    name: 'gateway',
    usage: 'start [--endpoints …] [--listen-addr 127.0.0.1:23790]',
    short: 'forwards connections to the members of a cluster, as `etcd gateway`',
    run: async (argv, io) => (await import('@keelson/proxy')).runProxy(['gateway', ...argv], io),
  },
  {
    name: 'grpc-proxy',
    usage: 'start [--endpoints …] [--listen-addr 127.0.0.1:23790]',
    short: 'lets many clients share the watches and leases of a few, as `etcd grpc-proxy`',
    run: async (argv, io) => (await import('@keelson/proxy')).runProxy(['grpc-proxy', ...argv], io),
  },
  {
    name: 'apiserver',
    usage: "<kube-apiserver flags> [--controllers '*']",
    short: 'the Kubernetes API server, as kube-apiserver, on any etcd',
    run: async (argv, io) => (await import('./apiserver/apiserver.ts')).runApiserver(argv, io),
  },
  {
    name: 'bench',
    usage: '[workload] [--endpoints …] [--compare-etcd] [--report DIR] [--short]',
    short: 'measures a cluster',
    run: async (argv, io) => (await import('@keelson/bench')).runBench(argv, io),
  },
  {
    name: 'version',
    usage: '',
    short: 'prints the version',
    run: (_argv, io) => {
      io.out(`keelson ${KEELSON_VERSION}\netcd API ${API_VERSION}\n`);
      return Promise.resolve(0);
    },
  },
];

export function usage(): string {
  const lines = SUBCOMMANDS.map(({ name, usage: how, short }) => {
    const call = `  keelson ${name}${how === '' ? '' : ` ${how}`}`;
    return `${call}\n      ${short}\n`;
  });
  return `Usage:\n${lines.join('')}`;
}

/** @param argv what follows `keelson`. @returns the exit code */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = argv;
  if (name === '--help' || name === '-h' || name === 'help') {
    io.out(usage());
    return 0;
  }
  const wanted = name === '--version' ? 'version' : name;
  const subcommand = SUBCOMMANDS.find((candidate) => candidate.name === wanted);
  if (subcommand !== undefined) return subcommand.run(rest, io);
  io.err(name === undefined ? usage() : `keelson: unknown command ${JSON.stringify(name)}\n${usage()}`);
  return 1;
}
