/**
 * HTTP/1 of the proxy: /metrics and /health are the cluster's, fetched and asked through it; /proxy/metrics and
 * /proxy/health are its own; /debug/pprof/ with --enable-pprof. (etcd: grpcproxy/{metrics,health}.go.)
 */
import type { IncomingMessage } from 'node:http';
import { request as requestSecure } from 'node:https';
import { nodeHttp, toError, type Logger } from '@keelson/base';
import { etcdserverpb, services } from '@keelson/proto';
import { RpcError, StatusCode, type DialTls } from '@keelson/rpc';
import { allowGet, answerError, answerText, type HttpHandler } from '@keelson/store';
import type { Namespace } from './namespace.ts';
import { raw } from './raw.ts';
import type { Upstream } from './upstream.ts';

const RANGE = raw(services.KV.methods.range);
const WATCH = raw(services.Watch.methods.watch);

/** The original's times. */
const GET_MS = 1_000;
const WATCH_MS = 3_000;
const METRICS_MS = 10_000;
const METRICS_BYTES_MAX = 64 * 1024 * 1024;

interface Verdict {
  readonly health: 'true' | 'false';
  readonly reason: string;
}

const HEALTHY: Verdict = { health: 'true', reason: '' };

/** Asks for verdicts and answers as etcd's health handler. */
export function healthHandler(path: string, logger: Logger, judge: () => Promise<Verdict>): HttpHandler {
  return (request, response) => {
    if (!allowGet(request, response)) return;
    void judge().then((verdict) => {
      const body = JSON.stringify(verdict);
      if (verdict.health === 'true') answerText(response, body, 'text/plain; charset=utf-8');
      else {
        logger.warn(`${path} error`, { output: body, 'status-code': 503 });
        answerError(response, 503, body);
      }
    });
  };
}

/** Whether a key can be read, though one may not be allowed to. */
export async function readable(upstream: Upstream, namespace: Namespace): Promise<Verdict> {
  const request = new etcdserverpb.RangeRequest({ key: namespace.key(Buffer.from('a')) });
  try {
    await upstream.ask(RANGE, etcdserverpb.encodeRangeRequest(request), 'read', { timeoutMs: GET_MS });
    return HEALTHY;
  } catch (reason) {
    if (reason instanceof RpcError && reason.code === StatusCode.PermissionDenied) return HEALTHY;
    return { health: 'false', reason: `GET ERROR:${toError(reason).message}` };
  }
}

/** Whether the proxy itself can be read through and watched through. */
export async function serving(own: Upstream | undefined, namespace: Namespace): Promise<Verdict> {
  if (own === undefined) return { health: 'false', reason: 'no connection to proxy' };
  const verdict = await readable(own, namespace);
  if (verdict.health === 'false') return verdict;
  return (await watchable(own)) ? HEALTHY : { health: 'false', reason: 'WATCH TIMEOUT' };
}

async function watchable(own: Upstream): Promise<boolean> {
  const createRequest = new etcdserverpb.WatchCreateRequest({ key: Buffer.from('a') });
  try {
    const { stream } = await own.open(WATCH, undefined);
    return await new Promise<boolean>((resolve) => {
      const timer = own.clock.setTimer(WATCH_MS, () => settle(false));
      const settle = (healthy: boolean): void => {
        timer.cancel();
        resolve(healthy);
        stream.cancel();
      };
      stream.onMessage(() => settle(true));
      stream.onEnd(() => settle(false));
      stream.write(etcdserverpb.encodeWatchRequest(new etcdserverpb.WatchRequest({ createRequest })));
    });
  } catch {
    return false;
  }
}

/** The metrics of the first member that gives them. */
export function memberMetrics(upstream: Upstream, tls: DialTls | undefined): HttpHandler {
  return (request, response) => {
    if (!allowGet(request, response)) return;
    const fetchFirst = async (): Promise<Buffer> => {
      let last: unknown = new Error('no endpoint');
      for (const endpoint of upstream.endpoints) {
        try {
          return await fetched(endpoint, tls);
        } catch (error) {
          last = error;
        }
      }
      throw toError(last);
    };
    fetchFirst().then(
      (body) => {
        response.writeHead(200, {
          'Content-Type': 'text/plain; version=0.0.4',
          'Content-Length': body.length,
        });
        response.end(body);
      },
      () => answerError(response, 500, 'Internal server error'),
    );
  };
}

/** @throws node's errors; Error for an answer that never ends */
async function fetched(endpoint: string, tls: DialTls | undefined): Promise<Buffer> {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const url = `${tls === undefined ? 'http' : 'https'}://${endpoint}/metrics`;
    const request = tls === undefined ? nodeHttp().request(url) : requestSecure(url, tlsOptions(tls));
    request.setTimeout(METRICS_MS, () => request.destroy(new Error('no answer in time')));
    request.on('response', resolve);
    request.on('error', reject);
    request.end();
  });
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of answer) {
    const chunk: Buffer = piece;
    bytes += chunk.length;
    if (bytes > METRICS_BYTES_MAX) throw new Error('metrics without an end');
    pieces.push(chunk);
  }
  return Buffer.concat(pieces);
}

function tlsOptions(tls: DialTls): object {
  const { ca, cert, key, skipVerify } = tls();
  return {
    agent: false,
    rejectUnauthorized: skipVerify !== true,
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  };
}
