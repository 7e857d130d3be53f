/** Members whose first one serves clients on a loopback port, for tests of HTTP. */
import type { Clock } from '@keelson/base';
import type { ServerConfig } from '../src/config/flag-table.ts';
import { parseUniqueUrls } from '../src/config/urls.ts';
import { ask, type Answer } from './http-calls.ts';
import { MemberCluster } from './members.ts';

const open: MemberCluster[] = [];

/** Stops all that serving() started. */
export async function stopServing(): Promise<void> {
  await Promise.all(open.splice(0).map((cluster) => cluster.stop()));
}

/** Any free port of the loopback address. */
export function anyPort(): ServerConfig['listenClientUrls'] {
  const urls = parseUniqueUrls('http://127.0.0.1:0');
  if (!urls.ok) throw new Error(urls.error);
  return urls.value;
}

export interface Serving {
  readonly cluster: MemberCluster;
  /** Of the first member's client port. */
  readonly port: number;
  readonly url: string;
  /** The body as it is, or as JSON. */
  readonly post: (path: string, body: unknown, headers?: Readonly<Record<string, string>>) => Promise<Answer>;
}

/** @param clock what members call the time; otherwise the machine's */
export async function serving(
  config: Partial<ServerConfig> = {},
  members = 1,
  clock?: Clock,
): Promise<Serving> {
  const cluster = await MemberCluster.start({
    members,
    config: { listenClientUrls: anyPort(), ...config },
    ...(clock !== undefined && { clock }),
  });
  open.push(cluster);
  await cluster.leader();
  const { port } = cluster.server(0).clientPorts.find(({ use }) => use === 'client')!;
  const url = `http://127.0.0.1:${port}`;
  const post: Serving['post'] = (path, body, headers) =>
    ask(url + path, {
      body: typeof body === 'string' ? body : JSON.stringify(body),
      ...(headers !== undefined && { headers }),
    });
  return { cluster, port, url, post };
}
