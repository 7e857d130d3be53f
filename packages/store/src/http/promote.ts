/**
 * Promoting a learner where the leader is: a member that does not lead asks it over the peer port, POST
 * /members/promote/<decimal id> (etcd: api/etcdhttp/peer.go, cluster_util.go). Both sides live here.
 */
import type { Agent, IncomingMessage, ServerResponse } from 'node:http';
import { hexId } from '@keelson/base';
import type { Schedule } from '../consensus/schedule.ts';
import type { PromotionAnswer } from '../consensus/self-promotion.ts';
import { errorCodeOf } from '../disk/error-code.ts';
import { StoreError, messageOf, type ErrorCode } from '../errors.ts';
import { decodeMembers, memberJson, type Member } from '../membership/member.ts';
import { peerRequest } from '../peer/peer-tls.ts';
import { peerLocation } from '../peer/url-picker.ts';
import { readAll } from './body.ts';

export const PROMOTE_PREFIX = '/members/promote/';
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
const RETRY_MS = 100;
const TIMED_OUT = 408;
const STOPPED = messageOf('STOPPED');

/** Texts peers know, by what they mean. */
const REFUSALS: readonly { readonly code: ErrorCode; readonly status: number; readonly text: string }[] = [
  { code: 'MEMBER_NOT_FOUND', status: 404, text: 'membership: ID not found' },
  { code: 'LEARNER_NOT_READY', status: 412, text: messageOf('LEARNER_NOT_READY') },
  { code: 'MEMBER_NOT_LEARNER', status: 412, text: 'membership: can only promote a learner member' },
];

export function promoteHandler(
  promote: (id: bigint) => Promise<readonly Member[]>,
  clusterId: bigint,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    response.setHeader('X-Etcd-Cluster-ID', hexId(clusterId));
    const text = (request.url ?? '').slice(PROMOTE_PREFIX.length);
    if (request.method !== 'POST') {
      response.writeHead(405, { Allow: 'POST' }).end('Method Not Allowed\n');
      return;
    }
    if (!/^[0-9]{1,20}$/.test(text)) {
      response.writeHead(404).end(`member ${text} not found in cluster\n`);
      return;
    }
    promote(BigInt.asUintN(64, BigInt(text))).then(
      (members) => {
        response.writeHead(200, { 'Content-Type': 'application/json' });
        response.end(`${JSON.stringify(members.map(memberJson))}\n`);
      },
      (error: unknown) => {
        const code = error instanceof StoreError ? error.code : undefined;
        const refusal = REFUSALS.find((each) => each.code === code);
        const status = refusal?.status ?? (code?.startsWith('TIMEOUT') === true ? TIMED_OUT : 500);
        response.writeHead(status).end(`${refusal?.text ?? String(error)}\n`);
      },
    );
  };
}

export interface PromoteForwarding {
  readonly leaderUrls: () => readonly string[];
  readonly agent: Agent;
  readonly schedule: Schedule;
  readonly monotonicMs: () => number;
  readonly timeoutMs: number;
}

/**
 * Promotes by `here`, or at the leader while that says it does not lead. Once a leader was asked that may have proposed it and
 * did not say, no later refusal is passed on: that would say for certain that nothing was done. (etcd passes it on.)
 * @throws StoreError as the leader says, or TIMEOUT
 */
export async function promoteAtLeader(
  id: bigint,
  here: (id: bigint) => Promise<readonly Member[]>,
  forwarding: PromoteForwarding,
): Promise<readonly Member[]> {
  const { leaderUrls, agent, schedule, monotonicMs, timeoutMs } = forwarding;
  const startedMs = monotonicMs();
  let unsure = false;
  for (;;) {
    try {
      return await here(id);
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'NOT_LEADER')
        throw unsure ? new StoreError('TIMEOUT', { cause: error }) : error;
    }
    for (const url of leaderUrls()) {
      const answer = await post(promotionUrl(id, url), agent, timeoutMs);
      if (answer === 'unsent') continue;
      if (answer?.status === 200) return decodeMembers(answer.text);
      for (const { code, status, text } of REFUSALS)
        if (answer?.status === status && answer.text.includes(text))
          throw new StoreError(unsure ? 'TIMEOUT' : code);
      unsure ||= answer === undefined || answer.status === TIMED_OUT || answer.text.includes(STOPPED);
    }
    if (schedule.stopped) throw new StoreError('STOPPED');
    if (monotonicMs() - startedMs >= timeoutMs) throw new StoreError('TIMEOUT');
    await schedule.delay(RETRY_MS);
  }
}

/** Asks the leader once, at each of its URLs until one answers. Never rejects. */
export async function askForPromotion(
  id: bigint,
  { leaderUrls, agent, timeoutMs }: Pick<PromoteForwarding, 'leaderUrls' | 'agent' | 'timeoutMs'>,
): Promise<PromotionAnswer> {
  for (const url of leaderUrls()) {
    const answer = await post(promotionUrl(id, url), agent, timeoutMs);
    if (answer === undefined || answer === 'unsent') continue;
    return answer.status === 200 ? { kind: 'promoted' } : { kind: 'refused', reason: answer.text.trim() };
  }
  return { kind: 'unreachable' };
}

function promotionUrl(id: bigint, leaderUrl: string): URL {
  return peerLocation(leaderUrl, `${PROMOTE_PREFIX}${id}`);
}

/** Undefined when there was no answer; 'unsent': nobody listens there. */
function post(
  url: URL,
  agent: Agent,
  timeoutMs: number,
): Promise<{ status: number; text: string } | undefined | 'unsent'> {
  return new Promise((resolve) => {
    let answered = false;
    const request = peerRequest(url, { method: 'POST', agent, timeout: timeoutMs }, (response) => {
      answered = true;
      readAll(response, ANSWER_BYTES_MAX).then(
        (body) => resolve({ status: response.statusCode ?? 0, text: body.toString('utf8') }),
        () => resolve(undefined),
      );
    });
    request.on('timeout', () => request.destroy());
    request.on('error', (error) => resolve(errorCodeOf(error) === 'ECONNREFUSED' ? 'unsent' : undefined));
    // A request closes as soon as its answer is in, and before whoever reads the answer has it.
    request.on('close', () => {
      if (!answered) resolve(undefined);
    });
    request.end();
  });
}
