/**
 * What one tenant feels of another's flood: a gentle tenant reads, lists a little and writes at a fixed pace, alone and
 * beside one that lists thousands of objects as fast as it can. The flood must not move the gentle one's p99 by more than
 * twice or 30 ms, whichever is larger, and the event loop's p99 must stay within 20 ms. In real time, so on a machine that
 * does nothing else; the same in virtual time is a test (packages/apiserver/src/flowcontrol).
 *
 * The flood is a process of its own, at a low priority: it stands for other machines, and must not take the processor of the
 * server or of this process. What it takes nevertheless is seen by the control: an echo that is asked by this process at the
 * same pace all the while. How late this process's own loop was is told too. Both are figures beside the verdict, which is of what
 * was measured as it was measured.
 *
 *   node tests/robustness/fairness.ts [--rounds 2] [--seconds 10] [--floods 60] [--objects 2000] [--table | --protobuf]
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { getPriority, setPriority, tmpdir } from 'node:os';
import path from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { pathToFileURL } from 'node:url';
import { toError } from '@keelson/base';
import { isRecord } from '@keelson/kube-client';
import { freePorts } from '../../packages/base/test/free-ports.ts';
import { ApiServerProcess } from '../harness/apiserver-process.ts';
import type { FloodOrder, FloodResult } from '../harness/list-flood.ts';
import { ProcessCluster } from '../harness/process-cluster.ts';
import { main, type Say } from '../harness/script.ts';
import { inWords, summarize } from '../harness/statistics.ts';
import { Tenant } from '../harness/tenant.ts';
import { pause, waitUntil } from '../harness/waiting.ts';

interface FairnessOptions {
  readonly binary: string;
  readonly rounds: number;
  readonly seconds: number;
  /** Lists that the flooding tenant has under way at any time. */
  readonly floods: number;
  /** Of a list. */
  readonly objects: number;
  /** What the flood accepts. */
  readonly accept: string;
  readonly flags: readonly string[];
}

interface Loop {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

const RATIO_MAX = 2;
const ADDED_MAX_MS = 30;
const LOOP_MAX_MS = 20;
const GENTLE_PER_SECOND = 100;
/** Of nice(1), beside this process: it takes what the others leave. */
const FLOOD_NICENESS = 10;
const QUIET_MAPS = '/api/v1/namespaces/quiet/configmaps';
const CROWD_MAPS = '/api/v1/namespaces/crowd/configmaps';
const FORMS: Readonly<Record<string, string>> = {
  json: 'application/json',
  table: 'application/json;as=Table;v=v1;g=meta.k8s.io',
  protobuf: 'application/vnd.kubernetes.protobuf',
};
const PAYLOAD = 'x'.repeat(500);

async function fairness(options: FairnessOptions, say: Say): Promise<string[]> {
  await using cluster = await ProcessCluster.start({ binary: options.binary, size: 1 });
  const home = mkdtempSync(path.join(tmpdir(), 'keelson-fairness-'));
  const certificates = path.join(home, 'certificates');
  mkdirSync(certificates);
  const loopFile = path.join(home, 'loop.json');
  const [port] = await freePorts(1);
  const server = new ApiServerProcess({
    name: 'api',
    port,
    store: cluster.members[0].clientUrl,
    certificates,
    home,
    flags: options.flags,
    environment: {
      NODE_OPTIONS: `--import=${pathToFileURL(path.join(import.meta.dirname, '../harness/loop-delay.mjs')).href}`,
      KEELSON_LOOP_FILE: loopFile,
    },
  });
  try {
    server.start();
    await server.ready();
    const echo = await Echo.start(certificates);
    try {
      return await measure(options, { server, echo, loopFile }, say);
    } finally {
      echo.stop();
    }
  } finally {
    await server.kill();
    rmSync(home, { recursive: true, force: true });
  }
}

interface Servers {
  readonly server: ApiServerProcess;
  readonly echo: Echo;
  readonly loopFile: string;
}

/** Latencies of one time, ms: of the server, and of the echo that was asked in the same time. */
interface Latencies {
  readonly gentle: number[];
  readonly echo: number[];
}

async function measure(
  options: FairnessOptions,
  { server, echo, loopFile }: Servers,
  say: Say,
): Promise<string[]> {
  const credentials = server.credentials();
  const admin = new Tenant(server.url, credentials, undefined);
  const gentle = new Tenant(server.url, credentials, 'gentle');
  const control = new Tenant(echo.url, credentials, undefined);
  const alone: Latencies = { gentle: [], echo: [] };
  const beside: Latencies = { gentle: [], echo: [] };
  const loops: Loop[] = [];
  const own = monitorEventLoopDelay({ resolution: 1 });
  let mega = 0;
  try {
    await prepare(admin, options.objects);
    const pace = async (into: Latencies, seconds: number, name: string): Promise<void> => {
      const [asked, echoed] = await Promise.all([
        atPace(seconds, (index) => gentleRequest(gentle, `${name}-${index}`, index)),
        atPace(seconds, () => control.ask('GET', QUIET_MAPS)),
      ]);
      into.gentle.push(...asked);
      into.echo.push(...echoed);
    };
    await pace({ gentle: [], echo: [] }, 2, 'warm');
    const { floods: count, accept } = options;
    const order = { url: server.url, credentials, user: 'flooding', path: CROWD_MAPS, count, accept };
    for (let round = 1; round <= options.rounds; round += 1) {
      await pace(alone, options.seconds, `a${round}`);
      const flood = await Flood.start(order);
      // Not what the first of them meet.
      await pause(500);
      await askLoop(server, loopFile);
      own.enable();
      await pace(beside, options.seconds, `b${round}`);
      own.disable();
      const loop = await askLoop(server, loopFile);
      loops.push(loop);
      const { listed, refused, bytes } = await flood.stop();
      mega += bytes / 1e6;
      say(
        `round ${round}: ${listed} lists (${(bytes / 1e6).toFixed(0)} MB) and ${refused} refusals of the flood; loop p99 ${loop.p99Ms.toFixed(1)} ms`,
      );
      await pause(1_000);
    }
  } finally {
    for (const tenant of [admin, gentle, control]) tenant.close();
  }
  const before = summarize(alone.gentle);
  const after = summarize(beside.gentle);
  const loopP99 = Math.max(...loops.map(({ p99Ms }) => p99Ms));
  const allowed = Math.max(before.p99 * RATIO_MAX, before.p99 + ADDED_MAX_MS);
  const perSecond = (mega / (options.rounds * options.seconds)).toFixed(0);
  const lines = [
    `gentle      ${inWords(before, 'ms')} alone`,
    `beside      ${inWords(after, 'ms')} with ${options.floods} lists of ${options.objects} objects always under way, ${perSecond} MB/s`,
    `p99         moved by ${(after.p99 - before.p99).toFixed(1)} ms, ${(after.p99 / before.p99).toFixed(2)} times; up to ${allowed.toFixed(1)} ms is allowed`,
    `event loop  p99 ${loopP99.toFixed(1)} ms late, at most ${Math.max(...loops.map(({ maxMs }) => maxMs)).toFixed(0)} ms`,
    `echo        ${inWords(summarize(alone.echo), 'ms')} alone`,
    `            ${inWords(summarize(beside.echo), 'ms')} beside: what of it is the machine's and this process's`,
    `own loop    p99 ${(own.percentile(99) / 1e6 - 1).toFixed(1)} ms late`,
  ];
  if (after.p99 > allowed || loopP99 > LOOP_MAX_MS)
    throw new Error(`a promise was broken:\n${lines.join('\n')}`);
  return lines;
}

async function prepare(admin: Tenant, objects: number): Promise<void> {
  const must = async (target: string, body: unknown): Promise<void> => {
    const { code } = await admin.ask('POST', target, { body });
    if (code !== 201) throw new Error(`POST ${target}: ${code}`);
  };
  for (const name of ['crowd', 'quiet']) await must('/api/v1/namespaces', { metadata: { name } });
  await must('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    metadata: { name: 'tenants' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' },
    subjects: ['gentle', 'flooding'].map((name) => ({
      kind: 'User',
      apiGroup: 'rbac.authorization.k8s.io',
      name,
    })),
  });
  for (let from = 0; from < objects; from += 50) {
    await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        must(CROWD_MAPS, {
          metadata: { name: `c${from + index}` },
          data: { a: PAYLOAD },
        }),
      ),
    );
  }
  await must(QUIET_MAPS, { metadata: { name: 'one' }, data: { a: 'b' } });
}

/** One in ten writes; of the others every second reads one object, and every second a few. */
async function gentleRequest(tenant: Tenant, name: string, index: number): Promise<void> {
  const { code } = await (index % 10 === 0
    ? tenant.ask('POST', QUIET_MAPS, { body: { metadata: { name } } })
    : tenant.ask('GET', index % 2 === 0 ? `${QUIET_MAPS}/one` : `${QUIET_MAPS}?limit=10`));
  if (code >= 400) throw new Error(`the gentle tenant was refused: ${code}`);
}

/** Requests at a fixed pace whatever becomes of them. @returns their latencies from when each was sent, ms */
async function atPace(seconds: number, ask: (index: number) => Promise<unknown>): Promise<number[]> {
  const latencies: number[] = [];
  const underWay: Promise<unknown>[] = [];
  const beganMs = performance.now();
  const count = seconds * GENTLE_PER_SECOND;
  for (let index = 0; index < count; index += 1) {
    const dueMs = beganMs + (index * 1_000) / GENTLE_PER_SECOND;
    await pause(Math.max(0, dueMs - performance.now()));
    const one = async (): Promise<void> => {
      const sentMs = performance.now();
      await ask(index);
      latencies.push(performance.now() - sentMs);
    };
    underWay.push(one().catch((error: unknown) => toError(error)));
  }
  const failed = (await Promise.all(underWay)).filter((one) => one instanceof Error);
  if (failed.length > 0) throw new Error(`${failed.length} requests at a pace failed: ${failed[0].message}`);
  return latencies;
}

/** The control: see echo-server.ts. */
class Echo {
  readonly url: string;
  private readonly child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.child = child;
    this.url = `https://127.0.0.1:${port}`;
  }

  /** @param certificates where the API server's lie */
  static async start(certificates: string): Promise<Echo> {
    const child = fork(
      path.join(import.meta.dirname, '../harness/echo-server.ts'),
      ['apiserver.crt', 'apiserver.key'].map((name) => path.join(certificates, name)),
    );
    const [port]: unknown[] = await once(child, 'message');
    return new Echo(child, Number(port));
  }

  stop(): void {
    this.child.disconnect();
  }
}

/** So many lists under way at all times, until it is stopped. */
class Flood {
  private readonly child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.child = child;
  }

  static async start(order: FloodOrder): Promise<Flood> {
    const child = fork(path.join(import.meta.dirname, '../harness/list-flood.ts'));
    await once(child, 'spawn');
    if (child.pid !== undefined) setPriority(child.pid, Math.min(19, getPriority() + FLOOD_NICENESS));
    child.send(order);
    return new Flood(child);
  }

  async stop(): Promise<FloodResult> {
    const answered = once(this.child, 'message');
    this.child.send('stop');
    const [found]: unknown[] = await answered;
    const number = (name: string): number => (isRecord(found) ? Number(found[name]) : Number.NaN);
    return { listed: number('listed'), refused: number('refused'), bytes: number('bytes') };
  }
}

/** How late the event loop was since this was asked last. */
async function askLoop({ pid }: ApiServerProcess, file: string): Promise<Loop> {
  if (pid === undefined) throw new Error('the server does not run');
  rmSync(file, { force: true });
  process.kill(pid, 'SIGUSR2');
  const text = await waitUntil(
    'the server tells of its event loop',
    { timeoutMs: 10_000, everyMs: 5 },
    () => {
      try {
        return readFileSync(file, 'utf8');
      } catch {
        return undefined;
      }
    },
  );
  const found: unknown = JSON.parse(text);
  const number = (name: string): number => (isRecord(found) ? Number(found[name]) : Number.NaN);
  return { p50Ms: number('p50Ms'), p99Ms: number('p99Ms'), maxMs: number('maxMs') };
}

if (import.meta.main) {
  const values = ['rounds', 'seconds', 'floods', 'objects'];
  const switches = Object.keys(FORMS);
  await main('fairness', { values, switches }, async (args, say) => {
    const { binary, flags } = args;
    const form = switches.find((name) => args.has(name)) ?? 'json';
    return fairness(
      {
        binary,
        flags,
        rounds: args.number('rounds', 2),
        seconds: args.number('seconds', 10),
        floods: args.number('floods', 60),
        objects: args.number('objects', 2_000),
        accept: FORMS[form],
      },
      say,
    );
  });
}
