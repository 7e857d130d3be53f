/**
 * kubectl as it is, the whole way to a kubelet and back: logs, exec, cp, attach, port-forward, proxies. The kubelet is a
 * small one of ours over TLS; kubectl speaks SPDY or WebSockets as its version does. Skipped where kubectl is not installed.
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { systemClock } from '@keelson/base';

import { NodeConnector } from '../src/kubelet/node-connector.ts';
import { BackendCaller } from '../src/outbound/backend-caller.ts';
import { builtInResources } from '../src/registry/kinds/built-in.ts';
import { TypeTable } from '../src/schema/type-table.ts';
import { kubectlPrograms, kubectlStarts, run, type Run } from './kubectl-program.ts';
import { SmallKubelet } from './small-kubelet.ts';
import { smallServer, type SmallServer } from './small-server.ts';

const withKubectl = (await kubectlStarts()) ? describe : describe.skip;

let home: string;
let small: SmallServer;
let kubelet: SmallKubelet;
let caller: BackendCaller;
let server: string;
/** What stands behind the pod's port 8080. */
const web = createServer((message, response) => {
  response.setHeader('content-type', 'text/plain');
  response.end(`${message.method} ${message.url} for ${String(message.headers['x-forwarded-uri'])}\n`);
});

beforeAll(async () => {
  home = mkdtempSync(path.join(tmpdir(), 'keelson-connections-'));
  mkdirSync(path.join(home, 'container'));
  writeFileSync(path.join(home, 'config'), 'kind: Config\napiVersion: v1\n');
  kubelet = new SmallKubelet(path.join(home, 'container'), systemClock.nowMs());
  const kubeletPort = await kubelet.start();
  web.listen(0, '127.0.0.1');
  await once(web, 'listening');
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it listens on a port
  const webPort = (web.address() as AddressInfo).port;
  caller = new BackendCaller({ clock: systemClock, lookup: () => Promise.resolve([]) });
  const pair = kubelet.authority.client({ commonName: 'apiserver' }, systemClock.nowMs());
  const connector = new NodeConnector({
    caller,
    clock: systemClock,
    kubelets: {
      addressTypes: ['Hostname', 'InternalIP'],
      port: 10_250,
      authority: kubelet.authority.certificate,
      pair: { cert: pair.certificate, key: pair.key },
    },
    route: (host, port) => (host === '10.1.2.3' ? { host: '127.0.0.1', port: webPort } : { host, port }),
  });
  small = smallServer({ resources: builtInResources(new TypeTable(), undefined, connector) });
  // Over TLS, as everybody has it: HTTP/2 for what is read, HTTP/1.1 for what leaves it.
  const identity = kubelet.authority.server('api', ['127.0.0.1'], systemClock.nowMs());
  const { port } = await small.server.listen(0, '127.0.0.1', {
    cert: identity.certificate,
    key: identity.key,
  });
  writeFileSync(path.join(home, 'ca.crt'), kubelet.authority.certificate);
  server = `https://127.0.0.1:${port}`;
  await made('/api/v1/nodes', {
    kind: 'Node',
    metadata: { name: 'n1' },
    status: {
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
      daemonEndpoints: { kubeletEndpoint: { Port: kubeletPort } },
    },
  });
  await made('/api/v1/namespaces/default/pods', {
    kind: 'Pod',
    metadata: { name: 'web', labels: { app: 'web' } },
    spec: {
      nodeName: 'n1',
      containers: [{ name: 'main', image: 'i', ports: [{ containerPort: 8080 }] }],
    },
  });
  const { code } = await small.ask('PATCH', '/api/v1/namespaces/default/pods/web/status', {
    status: {
      phase: 'Running',
      podIP: '10.1.2.3',
      podIPs: [{ ip: '10.1.2.3' }],
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  });
  expect(code).toBe(200);
});

afterAll(async () => {
  await small.stop();
  caller.close();
  await kubelet.stop();
  web.close();
  rmSync(home, { recursive: true, force: true });
});

async function made(target: string, object: object): Promise<void> {
  const { code, text } = await small.ask('POST', target, { apiVersion: 'v1', ...object });
  if (code !== 201) throw new Error(`${target}: ${text}`);
}

/** What a child says, until it says what is waited for; it may go on. */
function heard(child: ChildProcess, words: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
      if (words.test(text)) resolve(text);
    });
    child.once('close', () => reject(new Error(`it said ${JSON.stringify(text)} and ended`)));
  });
}

withKubectl.each(kubectlPrograms())('%s (needs kubectl on the path)', (program) => {
  const env = (): Record<string, string> => ({ HOME: home, KUBECONFIG: path.join(home, 'config') });
  const all = (args: readonly string[]): string[] => [
    `--server=${server}`,
    `--certificate-authority=${path.join(home, 'ca.crt')}`,
    // Nobody looks at it; without one kubectl asks for a name.
    '--token=secret',
    ...args,
  ];
  const kubectl = (...args: string[]): Promise<Run> => run(program, all(args), env());
  const start = (...args: string[]): ChildProcess =>
    spawn(program, all(args), { env: { ...process.env, ...env() } });
  /** Its newer way of talking, or the older one. */
  const speaksWebSockets = Number(/1\.(\d+)$/.exec(program)?.[1] ?? 99) >= 31;

  test('logs, as asked for', async () => {
    expect(await kubectl('logs', 'web')).toEqual({ code: 0, out: kubelet.log, err: '' });
    expect((await kubectl('logs', 'web', '--tail=1', '--timestamps', '--since=5m')).code).toBe(0);
    expect(kubelet.seen.at(-1)).toMatchObject({
      method: 'GET',
      url: '/containerLogs/default/web/main?sinceSeconds=300&tailLines=1&timestamps=true',
      client: 'apiserver',
    });
    const wrong = await kubectl('logs', 'web', '-c', 'other');
    expect(wrong.err).toContain('container other is not valid for pod web');
  });

  test('logs that are followed', async () => {
    const child = start('logs', '-f', 'web', '--tail=1');
    const end = once(child, 'close');
    const told = heard(child, /news/);
    await kubelet.followed();
    kubelet.say('news\n');
    expect(await told).toMatch(/news\n$/);
    child.kill('SIGINT');
    await end;
  });

  test('exec: output, errors, input and how it ended', async () => {
    const both = await kubectl('exec', 'web', '--', 'sh', '-c', 'echo out; echo err >&2');
    expect(both).toEqual({ code: 0, out: 'out\n', err: 'err\n' });
    expect(kubelet.protocol).toBe('v4.channel.k8s.io');
    const failed = await kubectl('exec', 'web', '--', 'sh', '-c', 'exit 7');
    expect(failed.code).toBe(7);
    expect(failed.err).toContain('command terminated with exit code 7');
    const child = start('exec', '-i', 'web', '--', 'sort');
    const told = heard(child, /b\n/);
    child.stdin?.end('b\na\n');
    expect(await told).toBe('a\nb\n');
  });

  test('exec of something large', async () => {
    const large = await kubectl('exec', 'web', '--', 'sh', '-c', 'yes keelson | head -c 800000');
    expect(large.out).toHaveLength(800_000);
    expect(large.out.startsWith('keelson\nkeelson\n')).toBe(true);
  });

  test('cp, there and back', async () => {
    const file = path.join(home, 'file.bin');
    const bytes = Buffer.from(Array.from({ length: 100_000 }, (_unused, index) => index % 251));
    writeFileSync(file, bytes);
    const folder = path.join(home, 'container');
    const there = await kubectl('cp', file, `web:${folder}/copy.bin`);
    expect(there).toMatchObject({ code: 0 });
    expect(readFileSync(path.join(folder, 'copy.bin')).equals(bytes)).toBe(true);
    expect(await kubectl('cp', `web:${folder}/copy.bin`, path.join(home, 'back.bin'))).toMatchObject({
      code: 0,
    });
    expect(readFileSync(path.join(home, 'back.bin')).equals(bytes)).toBe(true);
  });

  test('attach', async () => {
    const child = start('attach', '-i', 'web');
    const told = heard(child, /hello/);
    child.stdin?.end('hello\n');
    expect(await told).toMatch(/attached\nhello/);
  });

  test('port-forward', async () => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it listens on a port
    const target = (web.address() as AddressInfo).port;
    const child = start('port-forward', 'pod/web', `:${target}`);
    const end = once(child, 'close');
    const told = await heard(child, /127\.0\.0\.1:(\d+)/);
    const port = Number(/127\.0\.0\.1:(\d+)/.exec(told)?.[1]);
    for (const name of ['one', 'two', 'three']) {
      const answer = await new Promise<IncomingMessage>((resolve, reject) => {
        request({ host: '127.0.0.1', port, path: `/${name}` }, resolve)
          .on('error', reject)
          .end();
      });
      let text = '';
      for await (const chunk of answer) text += String(chunk);
      expect(text).toContain(`GET /${name}`);
    }
    child.kill('SIGINT');
    await end;
    expect(kubelet.protocol).toBe('portforward.k8s.io');
    const { method, headers } = kubelet.seen.findLast(({ url }) => url.startsWith('/portForward/')) ?? {};
    expect([method, headers?.upgrade]).toEqual(['POST', 'SPDY/3.1']);
    if (speaksWebSockets) expect(headers?.['sec-websocket-key']).toBeUndefined();
  });

  test('proxy, and what is proxied behind it', async () => {
    const child = start('proxy', '--port=0');
    const end = once(child, 'close');
    const port = Number(/:(\d+)/.exec(await heard(child, /:\d+\n/))?.[1]);
    const get = async (target: string): Promise<string> => {
      const answer = await fetch(`http://127.0.0.1:${port}${target}`);
      return await answer.text();
    };
    expect(await get('/api/v1/namespaces/default/pods/web/log?tailLines=1')).toBe(
      kubelet.log.split('\n').slice(-2).join('\n'),
    );
    expect(await get('/api/v1/namespaces/default/pods/web/proxy/a')).toContain('GET /a for ');
    child.kill('SIGINT');
    await end;
  });

  test('proxies of nodes and pods', async () => {
    expect(await kubectl('get', '--raw', '/api/v1/nodes/n1/proxy/pods')).toMatchObject({
      code: 0,
      out: expect.stringContaining('"PodList"'),
    });
    expect(await kubectl('get', '--raw', '/api/v1/namespaces/default/pods/web/proxy/a/b?c=d')).toEqual({
      code: 0,
      out: 'GET /a/b?c=d for /api/v1/namespaces/default/pods/web/proxy/a/b\n',
      err: '',
    });
  });
});
