/**
 * The version a cluster runs at: the lowest minor of its members' servers, found by the leader over
 * GET /version and set through the log (etcd: version monitor). Before every member has answered it is
 * etcd's minimum, 3.0.0; it goes down only by a downgrade that operators have asked for.
 */
import type { Agent } from 'node:http';
import { membershippb } from '@keelson/proto';
import { ETCD_VERSION } from '../config/version.ts';
import { clusterVersionOf, isLower, oneMinorBelow, type Downgrade } from '../membership/downgrade.ts';
import type { Member } from '../membership/member.ts';
import { peerRequest } from '../peer/peer-tls.ts';
import { peerLocation } from '../peer/url-picker.ts';

export const MIN_CLUSTER_VERSION = '3.0.0';
/**
 * The oldest server that may be a member beside us. An etcd below 3.5 does not know the entries by which we
 * publish a member and set the version: it panics when it applies one, and again at every start. 3.5 knows them
 * and has its own way to write them; nothing has shown that it works.
 */
export const OLDEST_MEMBER_VERSION = '3.6.0';
const ANSWER_BYTES_MAX = 4_096;

/** The server version of each member, asked all at once; undefined for one that does not answer. */
export function askVersions(
  members: readonly Member[],
  selfId: bigint,
  agent: Agent,
  timeoutMs: number,
): Promise<(string | undefined)[]> {
  return Promise.all(
    members.map((member) =>
      member.id === selfId ? Promise.resolve(ETCD_VERSION) : versionOf(member.peerUrls, agent, timeoutMs),
    ),
  );
}

/**
 * The version to set now; undefined when there is nothing to change.
 * @param current the cluster version so far, '' when undecided
 * @throws Error when the downgrade asked for cannot be from here
 */
export function decideVersion(
  versions: readonly (string | undefined)[],
  current: string,
  downgrade: Downgrade,
): string | undefined {
  let lowest: string | undefined;
  for (const version of versions) {
    if (version === undefined) return current === '' ? MIN_CLUSTER_VERSION : undefined;
    if (lowest === undefined || isLower(version, lowest)) lowest = version;
  }
  if (lowest === undefined) return undefined;
  const target = clusterVersionOf(lowest);
  if (current === '') return target;
  if (downgrade.enabled) {
    const { targetVersion } = downgrade;
    if (targetVersion === current) return undefined;
    // The members may be on their way already, or some of them; none may be older than the target.
    if (targetVersion !== oneMinorBelow(current) || isLower(lowest, targetVersion))
      throw new Error('invalid downgrade target');
    return targetVersion;
  }
  return target !== undefined && isLower(current, target) ? target : undefined;
}

/** Of these, one that is too old to be a member beside us; undefined when none is. */
export function tooOld(versions: readonly (string | undefined)[]): string | undefined {
  return versions.find((version) => version !== undefined && isLower(version, OLDEST_MEMBER_VERSION));
}

/** Whether every member runs the minor that was asked for: the downgrade is over. */
export function isDowngraded(versions: readonly (string | undefined)[], target: string): boolean {
  return versions.every((version) => version !== undefined && clusterVersionOf(version) === target);
}

export function encodeVersionSet(ver: string): Buffer {
  return membershippb.encodeClusterVersionSetRequest(new membershippb.ClusterVersionSetRequest({ ver }));
}

/** A member's server version; undefined when none of its URLs answers as it must. */
async function versionOf(
  urls: readonly string[],
  agent: Agent,
  timeoutMs: number,
): Promise<string | undefined> {
  for (const url of urls) {
    const answer = await get(peerLocation(url, '/version'), agent, timeoutMs);
    if (answer === undefined) continue;
    try {
      const parsed: unknown = JSON.parse(answer);
      if (typeof parsed !== 'object' || parsed === null || !('etcdserver' in parsed)) continue;
      const version = parsed.etcdserver;
      if (typeof version === 'string' && /^\d+\.\d+\.\d+/.test(version)) return version;
    } catch {
      // Not the answer of an etcd: as good as none.
    }
  }
  return undefined;
}

function get(url: URL, agent: Agent, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const call = peerRequest(url, { agent, timeout: timeoutMs }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        text += part;
        if (text.length > ANSWER_BYTES_MAX) call.destroy();
      });
      response.on('end', () => resolve(response.statusCode === 200 ? text : undefined));
      response.on('error', () => resolve(undefined));
    });
    call.on('timeout', () => call.destroy());
    call.on('error', () => resolve(undefined));
    call.on('close', () => resolve(undefined));
    call.end();
  });
}
