/**
 * HashKV between members: GET /members/hashkv on the peer port, a JSON body either way (etcd: corrupt.go).
 * Both sides live here; what a difference means is consensus/corruption.ts's question.
 */
import type { Agent, IncomingMessage, ServerResponse } from 'node:http';
import { hexId, toError, type Logger } from '@keelson/base';
import type { PeerHash, PeerHashAnswer, PeerHashFailure } from '../consensus/corruption.ts';
import type { Member } from '../membership/member.ts';
import type { HashResult } from '../mvcc/hash.ts';
import { messageOf } from '../errors.ts';
import { peerRequest } from '../peer/peer-tls.ts';
import { peerLocation } from '../peer/url-picker.ts';
import { readAll } from './body.ts';

export const HASHKV_PATH = '/members/hashkv';
const BODY_BYTES_MAX = 64 * 1024;
const CLUSTER_ID_HEADER = 'X-Etcd-Cluster-ID';

/** The texts of mvcc itself, which is what peers send each other. */
const COMPACTED_TEXT = 'mvcc: required revision has been compacted';
const FUTURE_TEXT = 'mvcc: required revision is a future revision';

export type LocalHash = (revision: number) => Promise<HashResult | 'COMPACTED' | 'FUTURE'>;

export function hashKvHandler(
  hash: LocalHash,
  clusterId: bigint,
  logger: Logger,
): (request: IncomingMessage, response: ServerResponse) => void {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const refuse = (status: number, text: string): void => {
      response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' }).end(`${text}\n`);
    };
    if (request.method !== 'GET') {
      response.setHeader('Allow', 'GET');
      refuse(405, 'Method Not Allowed');
      return;
    }
    const asked = request.headers[CLUSTER_ID_HEADER.toLowerCase()];
    if (asked !== undefined && asked !== '' && asked !== hexId(clusterId)) {
      refuse(412, messageOf('CLUSTER_ID_MISMATCH'));
      return;
    }
    const revision = revisionOf(await readAll(request, BODY_BYTES_MAX));
    if (revision === undefined) {
      refuse(400, 'error unmarshalling request');
      return;
    }
    const found = await hash(revision);
    if (typeof found === 'string') {
      const text = found === 'COMPACTED' ? COMPACTED_TEXT : FUTURE_TEXT;
      logger.warn('failed to get hashKV', { 'requested-revision': revision, error: text });
      refuse(400, text);
      return;
    }
    response.writeHead(200, { [CLUSTER_ID_HEADER]: hexId(clusterId), 'Content-Type': 'application/json' });
    response.end(
      JSON.stringify({
        header: { revision: found.currentRevision },
        hash: found.hash,
        compact_revision: found.compactRevision,
        hash_revision: found.hashRevision,
      }),
    );
  };
  return (request, response) => {
    answer(request, response).catch((error: unknown) => {
      logger.warn('failed to get hashKV', { error: toError(error).message });
      if (response.headersSent) response.destroy();
      else response.writeHead(500).end(`${toError(error).message}\n`);
    });
  };
}

/** Undefined for a body that is no HashKVRequest. */
function revisionOf(body: Buffer): number | undefined {
  const revision = fieldsOf(body.toString('utf8'))?.revision ?? 0;
  return typeof revision === 'number' && Number.isSafeInteger(revision) ? revision : undefined;
}

function fieldsOf(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : undefined;
  } catch {
    return undefined;
  }
}

/** What the hashes of other members are asked with. */
export interface HashAsking {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly agent: Agent;
  readonly timeoutMs: number;
  readonly logger: Logger;
}

/** Every other member's hash at `revision`, asked all at once, each over its URLs in turn. Never rejects. */
export async function askPeerHashes(
  members: readonly Member[],
  revision: number,
  asking: HashAsking,
): Promise<PeerHash[]> {
  const others = members.filter(({ id, peerUrls }) => id !== asking.memberId && peerUrls.length > 0);
  return Promise.all(others.map(({ id, peerUrls }) => askMember(id, peerUrls, revision, asking)));
}

async function askMember(
  id: bigint,
  endpoints: readonly string[],
  revision: number,
  asking: HashAsking,
): Promise<PeerHash> {
  let failure: PeerHashFailure = 'UNKNOWN';
  for (const endpoint of endpoints) {
    const answer = await ask(peerLocation(endpoint, HASHKV_PATH), revision, asking);
    if (typeof answer === 'object') return { id, endpoints, answer };
    failure = FAILURES.find(({ text }) => answer.includes(text))?.failure ?? 'UNKNOWN';
    asking.logger.warn('failed hash kv request', {
      'local-member-id': hexId(asking.memberId),
      'requested-revision': revision,
      'remote-peer-endpoint': endpoint,
      error: answer,
    });
  }
  return { id, endpoints, answer: undefined, failure };
}

const FAILURES: readonly { readonly text: string; readonly failure: PeerHashFailure }[] = [
  { text: COMPACTED_TEXT, failure: 'COMPACTED' },
  { text: FUTURE_TEXT, failure: 'FUTURE' },
  { text: messageOf('CLUSTER_ID_MISMATCH'), failure: 'CLUSTER_ID' },
];

/** The answer, or why there is none. */
function ask(url: URL, revision: number, asking: HashAsking): Promise<PeerHashAnswer | string> {
  return new Promise((resolve) => {
    const body = JSON.stringify({ revision });
    const headers = {
      'Content-Type': 'application/json',
      // A GET's body needs its length said, or it is taken for the next request.
      'Content-Length': Buffer.byteLength(body),
      [CLUSTER_ID_HEADER]: hexId(asking.clusterId),
    };
    const { agent, timeoutMs: timeout } = asking;
    const request = peerRequest(url, { method: 'GET', headers, agent, timeout }, (response) => {
      readAll(response, BODY_BYTES_MAX).then(
        (text) => resolve(answerOf(response.statusCode ?? 0, text.toString('utf8'))),
        (error: unknown) => resolve(toError(error).message),
      );
    });
    request.on('timeout', () => request.destroy(new Error('no answer in time')));
    request.on('error', (error) => resolve(error.message));
    request.end(body);
  });
}

function answerOf(status: number, text: string): PeerHashAnswer | string {
  if (status !== 200) return `unknown error: ${text.trim()}`;
  const fields = fieldsOf(text);
  const header = fields?.header;
  const number = (value: unknown): number => (typeof value === 'number' ? value : 0);
  if (fields === undefined) return 'an answer that is no HashKVResponse';
  return {
    hash: number(fields.hash),
    compactRevision: number(fields.compact_revision),
    currentRevision:
      typeof header === 'object' && header !== null && 'revision' in header ? number(header.revision) : 0,
  };
}
