/**
 * Calls per second and CPU per call of both transports, server and client in processes of their own:
 *   node packages/rpc/test/bench.ts [--seconds 3] [--rounds 3] [--connections 10] [--inflight 1,100] [--bytes 256] [--only native/native]
 * Unary echo over loopback; the figures are of everything a process does, garbage collection included. Each round
 * runs every pair once, so that what else the machine does meets all of them; the medians of the rounds come last.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { numberOf, scriptFlags } from '../../base/test/script.ts';
import {
  MethodTable,
  grpcJsChannel,
  grpcJsServer,
  nativeChannel,
  nativeServer,
  type Channel,
  type Codec,
  type MethodDescriptor,
} from '@keelson/rpc';

const bytes: Codec<Buffer> = { decode: (message) => message, encode: (message) => message };
const echo: MethodDescriptor<Buffer, Buffer> = {
  path: '/bench.Echo/Unary',
  kind: 'unary',
  request: bytes,
  response: bytes,
};

const SERVERS = { native: nativeServer, 'grpc-js': grpcJsServer };
const CHANNELS = { native: nativeChannel, 'grpc-js': grpcJsChannel };
type Kind = keyof typeof SERVERS;
const KINDS: readonly Kind[] = ['native', 'grpc-js'];

interface Load {
  readonly seconds: number;
  readonly connections: number;
  readonly inflight: number;
  readonly bytes: number;
}
type Order =
  | { readonly role: 'server'; readonly kind: Kind }
  | { readonly role: 'client'; readonly kind: Kind; readonly port: number; readonly load: Load }
  | { readonly role: 'cpu' };
interface Answer {
  readonly port?: number;
  readonly cpuMicros?: number;
  readonly calls?: number;
  readonly seconds?: number;
  readonly p50?: number;
  readonly p99?: number;
}

function cpuMicros(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

async function serve(kind: Kind): Promise<Answer> {
  const table = new MethodTable().unary(echo, (message) => message);
  const { port } = await SERVERS[kind](table).listen({ host: '127.0.0.1', port: 0 });
  return { port };
}

async function drive(kind: Kind, port: number, load: Load): Promise<Answer> {
  const channels: Channel[] = Array.from({ length: load.connections }, () =>
    CHANNELS[kind](`127.0.0.1:${port}`),
  );
  const message = Buffer.alloc(load.bytes, 'x');
  await Promise.all(channels.map((channel) => channel.connect(5000)));
  let calls = 0;
  let stopped = false;
  const latencies = new Float64Array(1 << 20);
  const worker = async (channel: Channel): Promise<void> => {
    while (!stopped) {
      const startedMs = performance.now();
      await channel.unary(echo, message);
      latencies[calls++ & (latencies.length - 1)] = performance.now() - startedMs;
    }
  };
  const workers = channels.flatMap((channel) => Array.from({ length: load.inflight }, () => worker(channel)));
  await new Promise((resolve) => setTimeout(resolve, 500));
  calls = 0;
  const cpu = cpuMicros();
  const startedMs = performance.now();
  process.send?.({ started: true });
  await new Promise((resolve) => setTimeout(resolve, load.seconds * 1000));
  const seconds = (performance.now() - startedMs) / 1000;
  const answer = { calls, seconds, cpuMicros: cpuMicros() - cpu };
  stopped = true;
  await Promise.all(workers);
  for (const channel of channels) channel.close();
  const sorted = latencies.slice(0, Math.min(answer.calls, latencies.length)).sort();
  return {
    ...answer,
    p50: sorted[sorted.length >> 1] ?? 0,
    p99: sorted[Math.floor(sorted.length * 0.99)] ?? 0,
  };
}

function child(role: string): ChildProcess {
  const profile =
    process.env['PROFILE'] === role
      ? ['--cpu-prof', '--cpu-prof-dir', process.env['PROFILE_DIR'] ?? '.']
      : [];
  return fork(fileURLToPath(import.meta.url), ['--child'], { execArgv: [...process.execArgv, ...profile] });
}

async function ask(process: ChildProcess, order: Order): Promise<Answer> {
  process.send(order);
  const [answer]: Answer[] = await once(process, 'message');
  return answer ?? {};
}

/** What one run of a pair came to. */
interface Figures {
  readonly callsPerSecond: number;
  readonly serverMicros: number;
  readonly clientMicros: number;
  readonly p50: number;
  readonly p99: number;
}

async function pair(server: Kind, client: Kind, load: Load): Promise<Figures> {
  const serving = child('server');
  const driving = child('client');
  const { port = 0 } = await ask(serving, { role: 'server', kind: server });
  driving.send({ role: 'client', kind: client, port, load } satisfies Order);
  await once(driving, 'message');
  const before = await ask(serving, { role: 'cpu' });
  const [result]: Answer[] = await once(driving, 'message');
  const after = await ask(serving, { role: 'cpu' });
  for (const each of [serving, driving]) {
    each.send({ role: 'end' });
    await once(each, 'exit');
  }
  const calls = result?.calls ?? 0;
  return {
    callsPerSecond: calls / (result?.seconds ?? 1),
    serverMicros: ((after.cpuMicros ?? 0) - (before.cpuMicros ?? 0)) / calls,
    clientMicros: (result?.cpuMicros ?? 0) / calls,
    p50: result?.p50 ?? 0,
    p99: result?.p99 ?? 0,
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}

function tell(title: string, runs: readonly Figures[]): void {
  const of = (name: keyof Figures): number => median(runs.map((figures) => figures[name]));
  const line = [
    title.padEnd(48),
    `${Math.round(of('callsPerSecond')).toLocaleString('en')} calls/s`.padStart(18),
    `server ${of('serverMicros').toFixed(1).padStart(6)} µs`,
    `client ${of('clientMicros').toFixed(1).padStart(6)} µs`,
    `p50 ${of('p50').toFixed(2)} ms`,
    `p99 ${of('p99').toFixed(2)} ms`,
  ];
  process.stdout.write(`${line.join('  ')}\n`);
}

if (process.argv.includes('--child')) {
  process.on('message', (order: Order | { role: 'end' }) => {
    if (order.role === 'server') void serve(order.kind).then((answer) => process.send?.(answer));
    else if (order.role === 'cpu') process.send?.({ cpuMicros: cpuMicros() });
    else if (order.role === 'client')
      void drive(order.kind, order.port, order.load).then((answer) => process.send?.(answer));
    else process.exit(0);
  });
} else {
  const values = scriptFlags(import.meta.filename, {
    seconds: { type: 'string', default: '3' },
    connections: { type: 'string', default: '10' },
    inflight: { type: 'string', default: '100' },
    rounds: { type: 'string', default: '1' },
    bytes: { type: 'string', default: '256' },
    only: { type: 'string' },
  });
  const all = new Map<string, Figures[]>();
  for (let round = numberOf('rounds', values.rounds); round > 0; round--) {
    for (const inflight of values.inflight.split(',').map(Number)) {
      const load: Load = {
        seconds: numberOf('seconds', values.seconds),
        connections: numberOf('connections', values.connections),
        inflight,
        bytes: numberOf('bytes', values.bytes),
      };
      for (const server of KINDS) {
        for (const client of KINDS) {
          if (values.only !== undefined && values.only !== `${server}/${client}`) continue;
          const title = `${server} server, ${client} channel, ${inflight} a connection`;
          const figures = await pair(server, client, load);
          all.set(title, [...(all.get(title) ?? []), figures]);
          tell(title, [figures]);
        }
      }
    }
  }
  if (numberOf('rounds', values.rounds) > 1) process.stdout.write('medians\n');
  if (numberOf('rounds', values.rounds) > 1) for (const [title, runs] of all) tell(title, runs);
}
