/**
 * What one tenant feels of another's flood: a gentle tenant reads, lists a little and writes at a fixed pace, alone and
 * beside one that lists thousands of objects as fast as it can. The flood must not move the gentle one's p99 by more than
 * twice or 30 ms, whichever is larger, and the event loop's p99 must stay within 20 ms. In real time, so on a machine that
 * does nothing else; the same in virtual time is a test (packages/apiserver/src/flowcontrol).
 *
 *   node tests/robustness/fairness.ts [--rounds 2] [--seconds 10] [--floods 60] [--objects 2000]
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { systemClock, toError } from '@keelson/base';
import { HttpsTransport, isRecord } from '@keelson/kube-client';
import { freePorts } from '../../packages/base/test/free-ports.ts';
import { ApiServerProcess, type AdminCredentials } from '../harness/apiserver-process.ts';
import { ProcessCluster } from '../harness/process-cluster.ts';
import { main, type Say } from '../harness/script.ts';
import { inWords, summarize } from '../harness/statistics.ts';
import { pause, waitUntil } from '../harness/waiting.ts';

interface FairnessOptions {
  readonly binary: string;
  readonly rounds: number;
  readonly seconds: number;
  /** Lists that the flooding tenant has under way at any time. */
  readonly floods: number;
  /** Of a list. */
  readonly objects: number;
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
    return await measure(options, server, loopFile, say);
  } finally {
    await server.kill();
    rmSync(home, { recursive: true, force: true });
  }
}

async function measure(
  options: FairnessOptions,
  server: ApiServerProcess,
  loopFile: string,
  say: Say,
): Promise<string[]> {
  const credentials = server.credentials();
  const admin = new Tenant(server.url, credentials, undefined);
  const gentle = new Tenant(server.url, credentials, 'gentle');
  const flooding = new Tenant(server.url, credentials, 'flooding');
  const alone: number[] = [];
  const beside: number[] = [];
  const loops: Loop[] = [];
  try {
    await prepare(admin, options.objects);
    await gentlePace(gentle, 2, 'warm');
    for (let round = 1; round <= options.rounds; round += 1) {
      alone.push(...(await gentlePace(gentle, options.seconds, `a${round}`)));
      const flood = new Flood(flooding, options.floods);
      await askLoop(server, loopFile);
      beside.push(...(await gentlePace(gentle, options.seconds, `b${round}`)));
      const loop = await askLoop(server, loopFile);
      loops.push(loop);
      const { listed, refused } = await flood.stop();
      say(
        `round ${round}: ${listed} lists and ${refused} refusals of the flood; loop p99 ${loop.p99Ms.toFixed(1)} ms`,
      );
      await pause(1_000);
    }
  } finally {
    for (const tenant of [admin, gentle, flooding]) tenant.close();
  }
  const before = summarize(alone);
  const after = summarize(beside);
  const loopP99 = Math.max(...loops.map(({ p99Ms }) => p99Ms));
  const allowed = Math.max(before.p99 * RATIO_MAX, before.p99 + ADDED_MAX_MS);
  const lines = [
    `gentle      ${inWords(before, 'ms')} alone`,
    `beside      ${inWords(after, 'ms')} with ${options.floods} lists of ${options.objects} objects always under way`,
    `p99         moved by ${(after.p99 - before.p99).toFixed(1)} ms, ${(after.p99 / before.p99).toFixed(2)} times; up to ${allowed.toFixed(1)} ms is allowed`,
    `event loop  p99 ${loopP99.toFixed(1)} ms late, at most ${Math.max(...loops.map(({ maxMs }) => maxMs)).toFixed(0)} ms`,
  ];
  if (after.p99 > allowed || loopP99 > LOOP_MAX_MS)
    throw new Error(`a promise was broken:\n${lines.join('\n')}`);
  return lines;
}

/** Requests as a user, by the administrator's leave. */
class Tenant {
  private readonly transport: HttpsTransport;
  private readonly user: string | undefined;

  constructor(url: string, { ca, cert, key }: AdminCredentials, user: string | undefined) {
    this.transport = new HttpsTransport({ server: url, clock: systemClock, tls: { ca, cert, key } });
    this.user = user;
  }

  async ask(method: string, target: string, body?: unknown): Promise<number> {
    const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const answer = await this.transport.call(target, {
      method,
      headers: {
        accept: 'application/json',
        ...(this.user === undefined ? {} : { 'impersonate-user': this.user }),
        ...(bytes === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': String(bytes.length) }),
      },
      ...(bytes === undefined ? {} : { body: bytes }),
    });
    const text = (await answer.bytes()).toString('utf8');
    if (answer.code >= 400 && answer.code !== 429) throw new Error(`${method} ${target}: ${text}`);
    return answer.code;
  }

  close(): void {
    this.transport.close();
  }
}

async function prepare(admin: Tenant, objects: number): Promise<void> {
  const must = async (target: string, body: unknown): Promise<void> => {
    const code = await admin.ask('POST', target, body);
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
        must('/api/v1/namespaces/crowd/configmaps', {
          metadata: { name: `c${from + index}` },
          data: { a: PAYLOAD },
        }),
      ),
    );
  }
  await must('/api/v1/namespaces/quiet/configmaps', { metadata: { name: 'one' }, data: { a: 'b' } });
}

/** Requests at a fixed pace whatever becomes of them, each from when it was due. @returns their latencies, ms */
async function gentlePace(tenant: Tenant, seconds: number, name: string): Promise<number[]> {
  const latencies: number[] = [];
  const underWay: Promise<unknown>[] = [];
  const beganMs = performance.now();
  const count = seconds * GENTLE_PER_SECOND;
  const path = '/api/v1/namespaces/quiet/configmaps';
  for (let index = 0; index < count; index += 1) {
    const dueMs = beganMs + (index * 1_000) / GENTLE_PER_SECOND;
    await pause(Math.max(0, dueMs - performance.now()));
    const one = async (): Promise<void> => {
      const askedMs = performance.now();
      const code =
        index % 10 === 0
          ? await tenant.ask('POST', path, { metadata: { name: `${name}-${index}` } })
          : await tenant.ask('GET', index % 2 === 0 ? `${path}/one` : `${path}?limit=10`);
      if (code >= 400) throw new Error(`the gentle tenant was refused: ${code}`);
      latencies.push(performance.now() - askedMs);
    };
    underWay.push(one().catch((error: unknown) => toError(error)));
  }
  const failed = (await Promise.all(underWay)).filter((one) => one instanceof Error);
  if (failed.length > 0)
    throw new Error(`${failed.length} requests of the gentle tenant failed: ${failed[0].message}`);
  return latencies;
}

/** So many lists under way at all times, until it is stopped. */
class Flood {
  private readonly tenant: Tenant;
  private readonly running: Promise<unknown>;
  private ended = false;
  private listed = 0;
  private refused = 0;

  constructor(tenant: Tenant, count: number) {
    this.tenant = tenant;
    this.running = Promise.all(Array.from({ length: count }, () => this.lists()));
  }

  async stop(): Promise<{ listed: number; refused: number }> {
    this.ended = true;
    await this.running;
    return { listed: this.listed, refused: this.refused };
  }

  private async lists(): Promise<void> {
    while (!this.ended) {
      const code = await this.tenant.ask('GET', '/api/v1/namespaces/crowd/configmaps');
      if (code === 200) this.listed += 1;
      else {
        this.refused += 1;
        // As a client that does not mind Retry-After, but is no machine gun.
        await pause(50);
      }
    }
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
  await main('fairness', { values: ['rounds', 'seconds', 'floods', 'objects'] }, async (args, say) => {
    const { binary, flags } = args;
    return fairness(
      {
        binary,
        flags,
        rounds: args.number('rounds', 2),
        seconds: args.number('seconds', 10),
        floods: args.number('floods', 60),
        objects: args.number('objects', 2_000),
      },
      say,
    );
  });
}
