/**
 * What a member that starts asks those who run already, over GET /members: which cluster it joins and under
 * which id; or, before it founds one, whether it has been a member before and lost its data, since a member
 * that forgot its votes must not vote again (etcd: bootstrap.go, cluster_util.go).
 */
import type { Agent } from 'node:http';
import { hexId, type Clock } from '@keelson/base';
import { FatalError } from '../errors.ts';
import { decodeMembers, type Member } from '../membership/member.ts';
import { peerRequest } from '../peer/peer-tls.ts';
import { peerLocation } from '../peer/url-picker.ts';
import { readAll } from './body.ts';

const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
/** Until members that do not agree are asked again. */
const AGREE_PAUSE_MS = 100;

export interface RunningCluster {
  readonly clusterId: bigint;
  readonly members: readonly Member[];
}

/** The first answer of any of these peer URLs; undefined when none gives one in time. */
export async function runningCluster(
  urls: readonly string[],
  agent: Agent,
  timeoutMs: number,
): Promise<RunningCluster | undefined> {
  return (await answersOf(urls, agent, timeoutMs))[0];
}

/**
 * What the members say who is in the cluster, once all that answer say the same. Of one that lags, a member that
 * joins with the URLs of a removed one would hear that one's id, and under it nobody would ever speak to it. When
 * they do not agree in time: what most of them say. Undefined when nobody answers.
 */
export async function agreedCluster(
  urls: readonly string[],
  agent: Agent,
  timeoutMs: number,
  clock: Clock,
): Promise<RunningCluster | undefined> {
  const startedMs = clock.monotonicMs();
  for (;;) {
    const said = new Map<string, RunningCluster[]>();
    for (const answer of await answersOf(urls, agent, timeoutMs)) {
      const ids = answer.members.map(({ id }) => hexId(id)).sort();
      const key = [hexId(answer.clusterId), ...ids].join();
      said.set(key, [...(said.get(key) ?? []), answer]);
    }
    const [most] = [...said.values()].sort((a, b) => b.length - a.length);
    if (said.size <= 1 || clock.monotonicMs() - startedMs >= timeoutMs) return most?.[0];
    await new Promise<void>((resolve) => clock.setTimer(AGREE_PAUSE_MS, resolve));
  }
}

async function answersOf(
  urls: readonly string[],
  agent: Agent,
  timeoutMs: number,
): Promise<RunningCluster[]> {
  const answers = await Promise.all(urls.map((url) => ask(peerLocation(url, '/members'), agent, timeoutMs)));
  return answers.flatMap((answer) => (answer !== undefined && answer.members.length > 0 ? [answer] : []));
}

/**
 * The id under which the cluster knows the member with these URLs.
 * @param local all members as --initial-cluster gives them, by name
 * @throws FatalError when the two do not speak of the same members
 */
export function joiningId(
  cluster: RunningCluster,
  local: ReadonlyMap<string, readonly string[]>,
  name: string,
): bigint {
  const { members } = cluster;
  if (members.length !== local.size)
    throw new FatalError(
      `error validating peerURLs: member count is unequal: the cluster has ${members.length} members, ` +
        `--initial-cluster names ${local.size}`,
    );
  const key = (urls: readonly string[]): string => [...urls].sort().join();
  const listed = new Map([...local].map(([each, urls]) => [key(urls), each]));
  let own: bigint | undefined;
  for (const member of members) {
    const found = listed.get(key(member.peerUrls));
    if (found === undefined)
      throw new FatalError(
        `error validating peerURLs: PeerURLs: no match found for existing member (${member.peerUrls.join()})`,
      );
    if (found === name) own = member.id;
  }
  if (own === undefined) throw new FatalError(`error validating peerURLs: no member has the URLs of ${name}`);
  return own;
}

function ask(url: URL, agent: Agent, timeoutMs: number): Promise<RunningCluster | undefined> {
  return new Promise((resolve) => {
    const call = peerRequest(url, { agent, timeout: timeoutMs }, (response) => {
      readAll(response, ANSWER_BYTES_MAX).then(
        (body) => resolve(clusterOf(response.statusCode, response.headers['x-etcd-cluster-id'], body)),
        () => resolve(undefined),
      );
    });
    call.on('timeout', () => call.destroy());
    call.on('error', () => resolve(undefined));
    call.on('close', () => resolve(undefined));
    call.end();
  });
}

function clusterOf(
  status: number | undefined,
  id: string | readonly string[] | undefined,
  body: Buffer,
): RunningCluster | undefined {
  if (status !== 200 || typeof id !== 'string' || !/^[0-9a-f]{1,16}$/i.test(id)) return undefined;
  try {
    return { clusterId: BigInt(`0x${id}`), members: decodeMembers(body.toString('utf8')) };
  } catch {
    // Not the answer of an etcd: as good as none.
    return undefined;
  }
}
