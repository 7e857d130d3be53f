/**
 * What a member that starts asks those who run already, over GET /members: which cluster it joins and under
 * which id; or, before it founds one, whether it has been a member before and lost its data, since a member
 * that forgot its votes must not vote again (etcd: bootstrap.go, cluster_util.go).
 */
import type { Agent } from 'node:http';
import { FatalError } from '../errors.ts';
import { decodeMembers, type Member } from '../membership/member.ts';
import { peerRequest } from '../peer/peer-tls.ts';
import { peerLocation } from '../peer/url-picker.ts';
import { readAll } from './body.ts';

const ANSWER_BYTES_MAX = 4 * 1024 * 1024;

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
  const answers = await Promise.all(urls.map((url) => ask(peerLocation(url, '/members'), agent, timeoutMs)));
  return answers.find((answer) => answer !== undefined && answer.members.length > 0);
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
