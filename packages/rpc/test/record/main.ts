/**
 * Writes testdata/conversations.txt, what real clients and servers say to each other frame by frame:
 *   npm run rpc:record
 * The file is the seed corpus of the fuzzer. Each conversation is a line "# who", then "> " frames of the client
 * and "< " frames of the server in hexadecimal, in the order of each direction. Programs a machine lacks are left out.
 */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import {
  grpcJsChannel,
  grpcJsServer,
  nativeChannel,
  nativeServer,
  type Channel,
  type RpcServer,
} from '@keelson/rpc';
import { scriptFlags } from '../../../base/test/script.ts';
import { Echo, ServerSide, echoTable } from '../contract/service.ts';
import { PREFACE } from '../raw-frames.ts';
import { overhear, saidBy } from '../wiretap.ts';

scriptFlags(import.meta.filename, {});
const run = promisify(execFile);

function frames(bytes: Buffer): string[] {
  const lines: string[] = [];
  for (let at = 0; bytes.length - at >= 9;) {
    const end = at + 9 + bytes.readUIntBE(at, 3);
    if (end > bytes.length) break;
    lines.push(bytes.toString('hex', at, end));
    at = end;
  }
  return lines;
}

async function everyKind(channel: Channel): Promise<void> {
  await channel.unary(Echo.unary, 'echo x');
  await channel.unary(Echo.unary, 'fail', { timeoutMs: 5000 }).catch(() => {});
  await channel.unary(Echo.unary, 'headers').catch(() => {});
  await channel.unary(Echo.missing, 'x').catch(() => {});
  await Promise.all(['a', 'b', 'c'].map((text) => channel.unary(Echo.unary, `echo ${text}`)));
  for await (const each of channel.serverStream(Echo.counted, '5 40')) void each;
  const chat = channel.bidi(Echo.chat);
  const ended = new Promise((resolve) => {
    chat.onMessage((text) => {
      if (text === 'two') chat.end();
    });
    chat.onEnd(resolve);
  });
  chat.write('one');
  chat.write('two');
  await ended;
  const abort = new AbortController();
  const hung = channel.unary(Echo.unary, 'hang', { signal: abort.signal }).catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 50));
  abort.abort();
  await hung;
}

const SERVERS: readonly [string, (table: ReturnType<typeof echoTable>) => RpcServer][] = [
  ['native server', nativeServer],
  ['grpc-js server', grpcJsServer],
];
const lines: string[] = [];
for (const [serverName, serve] of SERVERS) {
  const server = serve(echoTable(new ServerSide()));
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  const clients: readonly [string, (port: number) => Promise<unknown>][] = [
    ...[nativeChannel, grpcJsChannel].map((dial): [string, (port: number) => Promise<void>] => [
      `${dial.name} channel`,
      async (through) => {
        const channel = dial(`127.0.0.1:${through}`);
        await everyKind(channel);
        channel.close();
      },
    ]),
    [
      'curl',
      (through) => {
        const headers = ['content-type: application/grpc', 'te: trailers'].flatMap((header) => [
          '-H',
          header,
        ]);
        const url = `http://127.0.0.1:${through}/test.Echo/Unary`;
        const options = ['-sS', '-o', '/dev/null', '--http2-prior-knowledge', '--data', 'garbage'];
        return run('curl', [...options, ...headers, url]);
      },
    ],
    [
      'h2load',
      (through) => {
        const headers = ['content-type: application/grpc', 'te: trailers'].flatMap((header) => [
          '-H',
          header,
        ]);
        const url = `http://127.0.0.1:${through}/test.Echo/Unary`;
        const body = new URL('../../tsconfig.json', import.meta.url).pathname;
        return run('h2load', ['-n', '6', '-m', '3', '-d', body, ...headers, url]);
      },
    ],
    [
      'etcdctl',
      (through) => {
        const env = { ...process.env, ETCDCTL_API: '3' };
        return run('etcdctl', ['--endpoints', `127.0.0.1:${through}`, 'put', 'a', 'b'], { env });
      },
    ],
  ];
  for (const [clientName, talk] of clients) {
    const heard = await overhear(port, async (through) => {
      try {
        await talk(through);
      } catch {
        // A refusal is a conversation as well; one that did not take place leaves no lines.
      }
    });
    for (const pieces of heard) {
      const said = frames(saidBy('client', pieces).subarray(PREFACE.length));
      if (said.length === 0) continue;
      lines.push(`# ${clientName}, ${serverName}`);
      lines.push(
        ...said.map((frame) => `> ${frame}`),
        ...frames(saidBy('server', pieces)).map((frame) => `< ${frame}`),
      );
    }
  }
  await server.close();
}
writeFileSync(new URL('../testdata/conversations.txt', import.meta.url), `${lines.join('\n')}\n`);
