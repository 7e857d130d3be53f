/**
 * Lease questions between members: a follower passes renewals and remaining times to the leader over the
 * peer port, protobuf in, protobuf out (etcd: server/lease/leasehttp). Both sides live here.
 */
import type { Agent, IncomingMessage, ServerResponse } from 'node:http';
import { keyFromBytes, keyToBytes, toError } from '@keelson/base';
import { etcdserverpb, leasepb } from '@keelson/proto';
import type { LeaseForwarder, Leases, TimeToLive } from '../consensus/leases.ts';
import { StoreError } from '../errors.ts';
import { PEER_LEASE_BODY_BYTES_MAX } from '../limits.ts';
import type { LeaseId } from '../lease/lessor.ts';
import { peerRequest } from '../peer/peer-tls.ts';
import { peerLocation } from '../peer/url-picker.ts';
import { readAll } from './body.ts';

const RENEW_PATH = '/leases';
const INTERNAL_PATH = '/leases/internal';
const NOT_FOUND_TEXT = 'lease not found';
/** An answer lists all keys of a lease, so it may be larger than a question. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

/** The peer port's handlers for followers' questions. */
export function leaseHandlers(
  leases: Leases,
): ReadonlyMap<string, (request: IncomingMessage, response: ServerResponse) => void> {
  const serve =
    (answer: (body: Buffer) => Promise<Buffer | undefined>) =>
    (request: IncomingMessage, response: ServerResponse): void => {
      void respond(request, response, answer);
    };
  return new Map([
    [
      RENEW_PATH,
      serve(async (body) => {
        const { ID } = etcdserverpb.decodeLeaseKeepAliveRequest(body);
        const TTL = await leases.renewHere(ID);
        if (TTL === undefined) return undefined;
        return etcdserverpb.encodeLeaseKeepAliveResponse(
          new etcdserverpb.LeaseKeepAliveResponse({ ID, TTL }),
        );
      }),
    ],
    [
      INTERNAL_PATH,
      serve(async (body) => {
        const request = leasepb.decodeLeaseInternalRequest(body).LeaseTimeToLiveRequest;
        if (request === undefined) throw new Error('no LeaseTimeToLiveRequest');
        const found = await leases.timeToLiveHere(request.ID, request.keys);
        if (found === undefined) return undefined;
        return leasepb.encodeLeaseInternalResponse(
          new leasepb.LeaseInternalResponse({
            LeaseTimeToLiveResponse: new etcdserverpb.LeaseTimeToLiveResponse({
              header: new etcdserverpb.ResponseHeader(),
              ID: request.ID,
              TTL: found.ttlSeconds,
              grantedTTL: found.grantedSeconds,
              keys: found.keys.map(keyToBytes),
            }),
          }),
        );
      }),
    ],
  ]);
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  answer: (body: Buffer) => Promise<Buffer | undefined>,
): Promise<void> {
  try {
    if (request.method !== 'POST') {
      response.writeHead(405).end('Method Not Allowed\n');
      return;
    }
    const found = await answer(await readAll(request, PEER_LEASE_BODY_BYTES_MAX));
    if (found === undefined) response.writeHead(404).end(`${NOT_FOUND_TEXT}\n`);
    else response.writeHead(200, { 'Content-Type': 'application/protobuf' }).end(found);
  } catch (error) {
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const timedOut = error instanceof StoreError && error.code.startsWith('TIMEOUT');
    const bad = !(error instanceof StoreError);
    response.writeHead(timedOut ? 408 : bad ? 400 : 500).end(`${toError(error).message}\n`);
  }
}

/** A question to a member's peer URL was not answered as it must be. */
class ForwardError extends Error {
  override readonly name = 'ForwardError';
}

/** Asks the leader over its peer URLs, each in turn. */
export class HttpLeaseForwarder implements LeaseForwarder {
  private readonly peerUrls: (member: bigint) => readonly string[];
  private readonly agent: Agent;
  private readonly timeoutMs: number;

  constructor(peerUrls: (member: bigint) => readonly string[], agent: Agent, timeoutMs: number) {
    this.peerUrls = peerUrls;
    this.agent = agent;
    this.timeoutMs = timeoutMs;
  }

  async renew(leader: bigint, ID: LeaseId): Promise<number | undefined> {
    const body = etcdserverpb.encodeLeaseKeepAliveRequest(new etcdserverpb.LeaseKeepAliveRequest({ ID }));
    const answer = await this.ask(leader, RENEW_PATH, body);
    return answer === undefined ? undefined : etcdserverpb.decodeLeaseKeepAliveResponse(answer).TTL;
  }

  async timeToLive(leader: bigint, ID: LeaseId, keys: boolean): Promise<TimeToLive | undefined> {
    const body = leasepb.encodeLeaseInternalRequest(
      new leasepb.LeaseInternalRequest({
        LeaseTimeToLiveRequest: new etcdserverpb.LeaseTimeToLiveRequest({ ID, keys }),
      }),
    );
    const answer = await this.ask(leader, INTERNAL_PATH, body);
    if (answer === undefined) return undefined;
    const found = leasepb.decodeLeaseInternalResponse(answer).LeaseTimeToLiveResponse;
    if (found === undefined) throw new ForwardError('an answer without LeaseTimeToLiveResponse');
    return {
      ttlSeconds: found.TTL,
      grantedSeconds: found.grantedTTL,
      keys: found.keys.map(keyFromBytes),
    };
  }

  private async ask(member: bigint, path: string, body: Buffer): Promise<Buffer | undefined> {
    let failure: unknown = new ForwardError('the leader has no peer URL');
    for (const url of this.peerUrls(member)) {
      try {
        return await this.post(peerLocation(url, path), body);
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  private post(url: URL, body: Buffer): Promise<Buffer | undefined> {
    return new Promise((resolve, reject) => {
      const request = peerRequest(
        url,
        {
          method: 'POST',
          agent: this.agent,
          timeout: this.timeoutMs,
          headers: { 'Content-Type': 'application/protobuf', 'Content-Length': body.length },
        },
        (response) => {
          readAll(response, ANSWER_BYTES_MAX).then((answer) => {
            const text = answer.toString('utf8').trim();
            if (response.statusCode === 200) resolve(answer);
            else if (response.statusCode === 404 && text === NOT_FOUND_TEXT) resolve(undefined);
            else reject(new ForwardError(`${response.statusCode}: ${text}`));
          }, reject);
        },
      );
      request.on('timeout', () => request.destroy(new ForwardError('no answer in time')));
      request.on('error', reject);
      request.end(body);
    });
  }
}
