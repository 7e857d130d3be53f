/**
 * GOFAIL_HTTP=HOST:PORT: failpoints by HTTP, as gofail's endpoint: GET / lists them, GET, PUT and DELETE /name ask,
 * arm and disarm one, GET /name/count says how often it acted, PUT /failpoints arms several.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { nodeHttp } from '@keelson/base';
import { FAILPOINTS, type Failpoints } from './failpoints.ts';

const BODY_BYTES_MAX = 64 * 1024;

/** Listens until the process ends. @throws node's listen errors */
export async function listenForFailpoints(address: string, failpoints: Failpoints): Promise<Server> {
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, Math.max(colon, 0)).replace(/^\[(.*)\]$/, '$1');
  const server = nodeHttp().createServer((request, response) => {
    void bodyOf(request).then(
      (body) => answer(request, response, body, failpoints),
      () => response.destroy(),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(Number(address.slice(colon + 1)), host === '' ? undefined : host, resolve);
  });
  server.unref();
  return server;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) throw new Error('too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  body: string,
  failpoints: Failpoints,
): void {
  const [path = ''] = (request.url ?? '').split('?');
  const [name = '', part] = path.slice(1).split('/');
  const send = (status: number, text: string): void => {
    response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' }).end(text);
  };
  const settle = (problem: string | undefined): void => {
    if (problem === undefined) response.writeHead(204).end();
    else send(400, `fail to ${request.method} failpoint: ${problem}\n`);
  };
  switch (request.method) {
    case 'GET': {
      if (name === '') {
        send(200, FAILPOINTS.map((each) => `${each}=${failpoints.status(each) ?? ''}\n`).join(''));
        return;
      }
      const found = part === 'count' ? failpoints.count(name) : failpoints.status(name);
      if (found === undefined) send(404, 'failed to GET: failpoint: failpoint does not exist\n');
      else send(200, `${found}\n`);
      return;
    }
    case 'PUT':
      settle(name === 'failpoints' ? failpoints.armAll(body) : failpoints.arm(name, body));
      return;
    case 'DELETE':
      settle(failpoints.disarm(name));
      return;
    default:
      response.setHeader('Allow', 'DELETE, GET, PUT');
      send(405, 'Method not allowed\n');
  }
}
