/** Which ports members take, whether they are free, and who holds one that is not. */
import { readFile, readdir, readlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { UpError } from './up-error.ts';

export interface MemberPorts {
  readonly client: number;
  readonly peer: number;
}

/** etcd's examples use the first three; the last stands in for 72379, which is no port. */
const CLIENT_PORTS: readonly number[] = [2379, 22379, 32379, 42379, 52379, 62379, 12379];

export const HOST = '127.0.0.1';

/** Ports of member 0, 1, … */
export function memberPorts(nodes: number, basePort: number | undefined): MemberPorts[] {
  return Array.from({ length: nodes }, (_, index) => {
    const client = basePort === undefined ? (CLIENT_PORTS[index] ?? 0) : basePort + 2 * index;
    return { client, peer: client + 1 };
  });
}

/** Where kube-apiserver listens. */
const APISERVER_PORT = 6443;
/** Behind the ports of the seven members there may be, with some room. */
export const APISERVER_OFFSET = 20;

/** The port of the API server. */
export function apiserverPort(basePort: number | undefined): number {
  return basePort === undefined ? APISERVER_PORT : basePort + APISERVER_OFFSET;
}

/**
 * @param others ports beside those of members
 * @throws UpError naming the first port that is taken, and by whom as far as can be told
 */
export async function checkPortsFree(
  ports: readonly MemberPorts[],
  others: readonly number[] = [],
): Promise<void> {
  const all = [...ports.flatMap(({ client, peer }) => [client, peer]), ...others];
  const problems = await Promise.all(all.map(problemOf));
  const index = problems.findIndex((problem) => problem !== undefined);
  if (index < 0) return;
  const port = all[index] ?? 0;
  if (problems[index] !== 'EADDRINUSE')
    throw new UpError(`cannot listen on port ${port}: ${problems[index]}`);
  const holder = await listenerOn(port);
  const who = holder === undefined ? 'another program' : `${holder.name} (pid ${holder.pid})`;
  throw new UpError(`port ${port} is in use by ${who}: stop it, or choose other ports with --base-port`);
}

/** Listens for an instant. @returns the error's code when that fails */
function problemOf(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host: HOST, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

const STATE_LISTEN = '0A';

/** The process that listens on a port, as /proc tells it: only where there is one, and for one's own processes. */
export async function listenerOn(port: number): Promise<{ pid: number; name: string } | undefined> {
  try {
    const inodes = new Set<string>();
    for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
      const text = await readFile(table, 'utf8').catch(() => '');
      for (const line of text.split('\n')) {
        const columns = line.trim().split(/\s+/);
        const [, local = '', , state] = columns;
        if (state === STATE_LISTEN && Number.parseInt(local.split(':')[1] ?? '', 16) === port) {
          inodes.add(`socket:[${columns[9]}]`);
        }
      }
    }
    if (inodes.size === 0) return undefined;
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
      for (const descriptor of descriptors) {
        const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '');
        if (!inodes.has(target)) continue;
        return { pid: Number(pid), name: programOf(await readFile(`/proc/${pid}/cmdline`, 'utf8')) };
      }
    }
  } catch {
    // Only a courtesy: without /proc, or when a process ends meanwhile, the port alone is named.
  }
  return undefined;
}

/** What a command line calls itself: members by their name, other programs by their file. */
function programOf(commandLine: string): string {
  const words = commandLine.split('\0');
  const member = words.find((word) => word.startsWith('--name='));
  return member === undefined ? path.basename(words[0] ?? '') : `member ${member.slice('--name='.length)}`;
}
