/**
 * The gateway as a process, beside etcd's own: what clients get through it, what it logs as members go and come, and
 * how it ends.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createServer } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { startEtcd } from '../../packages/base/test/etcd-process.ts';
import { ETCDCTL, KEELSON_ETCD, REFERENCE_ETCD, missingServer } from '../harness/binaries.ts';
import { freePorts } from '../../packages/base/test/free-ports.ts';
import { waitUntil } from '../harness/waiting.ts';

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

interface Line {
  readonly msg: string;
  readonly [field: string]: unknown;
}

class Gateway {
  readonly child: ChildProcess;
  private log = '';

  constructor(binary: string, flags: readonly string[]) {
    this.child = spawn(binary, ['gateway', 'start', ...flags], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.child.stderr?.on('data', (chunk) => (this.log += String(chunk)));
    open.push(() => this.end('SIGKILL'));
  }

  lines(): Line[] {
    const whole = this.log.split('\n').slice(0, -1);
    return whole.map((line) => JSON.parse(line) as Line);
  }

  logged(message: string): Promise<Line> {
    return waitUntil(`the gateway logs ${message}`, { timeoutMs: 30_000 }, () =>
      this.lines().find(({ msg }) => msg === message),
    );
  }

  async end(signal: NodeJS.Signals): Promise<NodeJS.Signals | null> {
    const { child } = this;
    if (child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((resolve) => void child.once('exit', resolve));
      child.kill(signal);
      await gone;
    }
    return child.signalCode;
  }
}

function etcdctl(endpoint: string, ...words: string[]): string {
  const env = { ...process.env, ETCDCTL_API: '3' };
  const run = spawnSync(ETCDCTL!, ['--endpoints', endpoint, ...words], { encoding: 'utf8', env });
  return run.stdout + run.stderr;
}

/** What a gateway did and said. */
async function story(binary: string): Promise<unknown> {
  const member = await startEtcd();
  open.push(() => member.stop());
  const [port, absent] = await freePorts(2);
  const endpoint = `127.0.0.1:${port}`;
  const gateway = new Gateway(binary, [
    `--listen-addr=${endpoint}`,
    `--endpoints=127.0.0.1:${absent},http://${member.endpoint}`,
    '--retry-delay=500ms',
  ]);
  await gateway.logged('ready to proxy client requests');
  const answers = [etcdctl(endpoint, 'put', 'a', '1'), etcdctl(endpoint, 'get', 'a')];
  await gateway.logged('failed to activate endpoint (stay inactive for another interval)');
  const back = createServer((socket) => void socket.on('error', () => {}).resume());
  await new Promise<void>((resolve) => void back.listen(absent, '127.0.0.1', resolve));
  open.push(() => new Promise((resolve) => void back.close(resolve)));
  await gateway.logged('activated');
  const signal = await gateway.end('SIGTERM');
  // 3.4 says less at its start, and nothing at its end; how often a probe failed is chance.
  const told = new Map<string, unknown>();
  for (const { msg, level, address, interval, error } of gateway.lines())
    if (!/^Running|signal|ready/.test(msg))
      told.set(msg, {
        level,
        // 3.4 wrote seconds.
        interval: interval === 0.5 ? '500ms' : interval,
        error,
        address: address === `127.0.0.1:${absent}`,
      });
  return JSON.parse(JSON.stringify({ answers, signal, told: [...told] }).replaceAll(`:${absent}`, ':ABSENT'));
}

const lacking =
  missingServer() ??
  (REFERENCE_ETCD === undefined || ETCDCTL === undefined ? 'etcd or etcdctl is not on the PATH' : undefined);

describe('the gateway', () => {
  (lacking === undefined ? test : test.skip)(
    `does and says what etcd's does${lacking === undefined ? '' : ` (needs more: ${lacking})`}`,
    async () => {
      const theirs = await story(REFERENCE_ETCD!);
      expect(await story(KEELSON_ETCD)).toEqual(theirs);
      expect(theirs).toMatchObject({ answers: ['OK\n', 'a\n1\n'], signal: 'SIGTERM' });
    },
  );
});
