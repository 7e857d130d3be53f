/** `keelson up` with members that only pretend: start, refusals, a member that ends, the order of stopping. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { X509Certificate } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock, type Clock } from '@keelson/base';
import { freePort } from '../../base/test/free-ports.ts';
import { parseObject } from '../src/plain.ts';
import type { Probe } from '../src/up/probe.ts';
import { runUp } from '../src/up/up.ts';
import { capture, type Captured } from './capture.ts';

const FAKE = fileURLToPath(new URL('fake-member.mjs', import.meta.url));

/** Says that m1 leads and everything that runs is well. */
function fakeProbe(clientUrl: string, first: string): Probe {
  return {
    healthy: () => Promise.resolve(true),
    status: () =>
      Promise.resolve({
        leads: clientUrl === first,
        hasLeader: true,
        learner: false,
        term: 2,
        revision: 1,
        raftIndex: 4,
        dbSizeBytes: 20_480,
      }),
    close: () => {},
  };
}

/** Ten times as fast as it says. */
const hasty: Clock = {
  ...systemClock,
  setTimer: (delayMs, task) => systemClock.setTimer(delayMs / 10, task),
};

function start(captured: Captured, ...args: string[]): Promise<number> {
  let first: string | undefined;
  return runUp(args, captured.io, {
    clock: hasty,
    probes: (clientUrl) => fakeProbe(clientUrl, (first ??= clientUrl)),
    program: [process.execPath, FAKE],
    apiserverProgram: [process.execPath, FAKE, 'apiserver'],
    command: 'keelson',
    apiserverProbe: () => ({
      ...fakeProbe('', 'no'),
      healthy: () => Promise.resolve(frontIsWell()),
      status: () => Promise.resolve(undefined),
    }),
  });
}

/** What the API server answers to who asks whether it is ready. */
let frontIsWell = (): boolean => true;
let directory = '';
let basePort = 0;
const running: { captured: Captured; ended: Promise<number> }[] = [];

beforeEach(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'keelson-up-test-'));
  basePort = await freeRow(6);
});

afterEach(async () => {
  for (const { captured, ended } of running.splice(0)) {
    captured.stop();
    captured.stop();
    await ended;
  }
  rmSync(directory, { recursive: true, force: true });
});

/** The first of so many free ports in a row. */
const freeRow = (count: number): Promise<number> =>
  freePort(...Array.from({ length: count - 1 }, (_, index) => index + 1));

function listening(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host: '127.0.0.1', port }, () => resolve(server));
  });
}

/** Starts `up` and waits until it is ready. */
async function up(env: Record<string, string>, terminal: boolean, ...args: string[]): Promise<Captured> {
  const captured = capture({ PATH: process.env['PATH'], ...env }, terminal);
  running.push({ captured, ended: start(captured, ...flags(), ...args) });
  await captured.until(/export ETCDCTL_ENDPOINTS|keelson up: /);
  return captured;
}

const where = (): string[] => [`--data-dir=${path.join(directory, 'd')}`, `--base-port=${basePort}`];
const flags = (): string[] => [...where(), '--no-apiserver'];
const inside = (...names: string[]): string => path.join(directory, 'd', ...names);

function upFile(): Record<string, unknown> {
  return parseObject(readFileSync(inside('up.json'), 'utf8')) ?? {};
}

function pids(): Record<string, number> {
  const value = upFile()['pids'];
  const found: Record<string, number> = {};
  for (const [name, pid] of Object.entries(value ?? {})) if (typeof pid === 'number') found[name] = pid;
  return found;
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('a run', () => {
  test('starts three members, tells where they are, and stops them', async () => {
    const captured = await up({ ETCD_NAME: 'not for members' }, false);
    const urls = [0, 2, 4].map((offset) => `127.0.0.1:${basePort + offset}`);
    expect(captured.out()).toMatch(/^keelson up: 3 members ready in \d+\.\d\d s, m1 leads\n/);
    expect(captured.out()).toContain(`export ETCDCTL_ENDPOINTS=${urls.join(',')}\n`);
    expect(upFile()['clients']).toEqual(urls.map((url) => `http://${url}`));
    const started = Object.values(pids());
    expect(Object.keys(pids())).toEqual(['m1', 'm2', 'm3']);
    expect(started.every(alive)).toBe(true);
    expect(readFileSync(inside('m1.log'), 'utf8')).toContain('"etcd":"none"');

    captured.stop();
    expect(await running[0]?.ended).toBe(0);
    expect(started.some(alive)).toBe(false);
    expect(readdirSync(inside()).sort()).toEqual(['keelson.json', 'm1.log', 'm2.log', 'm3.log']);
    expect(readFileSync(inside('m2.log'), 'utf8')).toContain('closed server');
  });

  test('finds its directory again, with the same token', async () => {
    await up({}, false);
    const before = readFileSync(inside('keelson.json'), 'utf8');
    running[0]?.captured.stop();
    await running.splice(0)[0]?.ended;
    await up({}, false);
    expect(readFileSync(inside('keelson.json'), 'utf8')).toBe(before);
  });

  test('with TLS, certificates are made once, and told to who connects', async () => {
    const captured = await up({}, false, '--tls');
    const tls = {
      cacert: inside('tls', 'ca.pem'),
      cert: inside('tls', 'client.pem'),
      key: inside('tls', 'client.key'),
    };
    expect(upFile()['tls']).toEqual(tls);
    expect(upFile()['clients']).toEqual([0, 2, 4].map((offset) => `https://127.0.0.1:${basePort + offset}`));
    expect(captured.out()).toContain(
      `export ETCDCTL_CACERT=${tls.cacert}\nexport ETCDCTL_CERT=${tls.cert}\nexport ETCDCTL_KEY=${tls.key}\nexport ETCDCTL_ENDPOINTS=127`,
    );
    const ca = new X509Certificate(readFileSync(tls.cacert));
    const leaf = new X509Certificate(readFileSync(inside('tls', 'member.pem')));
    expect(leaf.verify(ca.publicKey)).toBe(true);
    expect(leaf.checkIP('127.0.0.1')).toBe('127.0.0.1');
    running[0]?.captured.stop();
    await running.splice(0)[0]?.ended;
    await up({}, false, '--tls');
    expect(new X509Certificate(readFileSync(inside('tls', 'member.pem'))).serialNumber).toBe(
      leaf.serialNumber,
    );
    running[0]?.captured.stop();
    await running.splice(0)[0]?.ended;
    const without = await up({}, false);
    expect(without.err()).toBe(
      `keelson up: ${inside()} was made with --tls: give it, or use another --data-dir\n`,
    );
  });

  test('an ephemeral one leaves nothing behind', async () => {
    const captured = capture();
    const ended = start(captured, '--ephemeral', '--no-apiserver', `--base-port=${basePort}`, '--nodes=1');
    await captured.until(/export ETCDCTL_ENDPOINTS/);
    const log = /\S+m1\.log/.exec(captured.out())?.[0] ?? '';
    expect(existsSync(log)).toBe(true);
    captured.stop();
    expect(await ended).toBe(0);
    expect(existsSync(path.dirname(log))).toBe(false);
  });

  test('a member that ends is told, and started again when that is asked for', async () => {
    const captured = await up({}, false);
    const { m1, m2, m3 } = pids();
    process.kill(m2 ?? 0, 'SIGKILL');
    const again = `keelson up --restart m2 --data-dir ${inside()}`;
    await captured.until(/m2 exited with signal SIGKILL, see .*m2\.log; start it again with: .*\n/);
    expect(captured.out()).toContain(`; start it again with: ${again}\n`);
    expect(pids()).toEqual({ m1, m3 });
    expect(alive(m1 ?? 0) && alive(m3 ?? 0)).toBe(true);

    // And by that command it is.
    const asking = capture();
    expect(await start(asking, ...again.split(' ').slice(2))).toBe(0);
    expect(asking.out()).toBe(`m2 started again (pid ${pids()['m2']})\n`);
    await captured.until(/m2 started again \(pid \d+\)/);
    expect(alive(pids()['m2'] ?? 0)).toBe(true);
    const running2 = capture();
    expect(await start(running2, '--restart=m2', `--data-dir=${inside()}`)).toBe(1);
    expect(running2.err()).toBe(`keelson up: m2 runs already (pid ${pids()['m2']})\n`);
    captured.stop();
    expect(await running[0]?.ended).toBe(0);
    expect(readdirSync(inside()).sort()).toEqual(['keelson.json', 'm1.log', 'm2.log', 'm3.log']);
  });

  test('on a terminal, r starts ended members again', async () => {
    const captured = await up({}, true);
    process.kill(pids()['m2'] ?? 0, 'SIGKILL');
    await captured.until(/m2 exited with signal SIGKILL.*press r to start it again/);
    captured.stdin.write('r');
    await captured.until(/m2 started again \(pid \d+\)/);
    expect(alive(pids()['m2'] ?? 0)).toBe(true);
    captured.stdin.write('\u0003');
    expect(await running[0]?.ended).toBe(0);
    expect(captured.out()).toMatch(/MEMBER +PID +ROLE +TERM +REVISION +RAFT INDEX +DB SIZE +HEALTH/);
    expect(captured.out()).toMatch(/m1 +\d+ +leader +2 +1 +4 +20 kB +ok/);
  });

  test('when the last member is gone, so is the run', async () => {
    const captured = await up({}, false, '--nodes=1');
    process.kill(pids()['m1'] ?? 0, 'SIGKILL');
    expect(await running[0]?.ended).toBe(1);
    expect(captured.err()).toBe('keelson up: no member is running any more\n');
    expect(captured.out()).toMatch(/m1 exited with signal SIGKILL, see \S+m1\.log\n/);
  });

  test('a second request to stop does not wait for members that do not listen', async () => {
    const captured = await up({ FAKE_m2: 'deaf' }, false);
    const { m1, m2 } = pids();
    captured.stop();
    await captured.until(/stopping …/);
    while (alive(m1 ?? 0)) await new Promise((resolve) => setImmediate(resolve));
    expect(alive(m2 ?? 0)).toBe(true);
    captured.stop();
    expect(await running[0]?.ended).toBe(0);
    expect(alive(m2 ?? 0)).toBe(false);
  });

  test('a member that ignores SIGTERM is killed after five seconds', async () => {
    const captured = await up({ FAKE_m3: 'deaf' }, false);
    const startMs = performance.now();
    captured.stop();
    expect(await running[0]?.ended).toBe(0);
    expect(performance.now() - startMs).toBeGreaterThan(490);
    expect(captured.out()).toContain('m3 did not stop within 5 s and was killed\n');
  });
});

describe('with an API server', () => {
  beforeEach(async () => {
    basePort = await freeRow(21);
    frontIsWell = () => true;
  });

  async function upWithFront(env: Record<string, string>): Promise<Captured> {
    env['PATH'] = process.env['PATH'] ?? '';
    const captured = capture(env);
    running.push({ captured, ended: start(captured, ...where(), '--nodes=1') });
    await captured.until(/export KUBECONFIG|keelson up: \w+ (?!member)/);
    return captured;
  }

  test('it is told, has its port, and goes before the members', async () => {
    const captured = await upWithFront({});
    const url = `https://127.0.0.1:${basePort + 20}`;
    const { m1, apiserver } = pids();
    expect(captured.out()).toMatch(
      /^keelson up: 1 member and the API server ready in \d+\.\d\d s, m1 leads\n/,
    );
    expect(captured.out()).toContain(`\n  apiserver  ${url} `);
    expect(captured.out()).toContain(`export KUBECONFIG=${inside('kubeconfig')}\n`);
    expect(upFile()['clients']).toEqual([`http://127.0.0.1:${basePort}`]);
    expect(upFile()['apiserver']).toBe(url);
    expect(readFileSync(inside('kubeconfig'), 'utf8')).toBe(`server: ${basePort + 20}\n`);
    const log = readFileSync(inside('apiserver.log'), 'utf8');
    expect(log).toContain(`etcd-servers=http://127.0.0.1:${basePort}\n`);

    captured.stop();
    expect(await running[0]?.ended).toBe(0);
    expect([m1, apiserver].some((pid) => alive(pid ?? 0))).toBe(false);
    // The member still ran when the server had gone.
    const closed = (file: string): number =>
      Number(/closed at (\d+)/.exec(readFileSync(inside(file), 'utf8'))?.[1]);
    expect(closed('apiserver.log')).toBeLessThanOrEqual(closed('m1.log'));
  });

  test('one that cannot start, with its last words', async () => {
    const captured = await upWithFront({ FAKE_apiserver: 'crash' });
    expect(await running[0]?.ended).toBe(1);
    expect(captured.err()).toBe(
      `keelson up: apiserver exited with code 1 before it was ready, see ${inside('apiserver.log')}: command failed: the port is a lie\n`,
    );
  });

  test('one that ends is started again when that is asked for', async () => {
    const captured = await upWithFront({});
    process.kill(pids()['apiserver'] ?? 0, 'SIGKILL');
    await captured.until(/apiserver exited with signal SIGKILL, see /);
    const asking = capture();
    expect(await start(asking, '--restart=apiserver', `--data-dir=${inside()}`)).toBe(0);
    expect(alive(pids()['apiserver'] ?? 0)).toBe(true);
  });

  test('it is said to be there again when it serves, and not before', async () => {
    const captured = await upWithFront({});
    process.kill(pids()['apiserver'] ?? 0, 'SIGKILL');
    await captured.until(/apiserver exited with signal SIGKILL, see /);
    let unwell = 0;
    const twenty = new Promise<void>((resolve) => {
      frontIsWell = () => {
        unwell += 1;
        if (unwell === 20) resolve();
        return false;
      };
    });
    const asking = capture();
    const ended = start(asking, '--restart=apiserver', `--data-dir=${inside()}`);
    await captured.until(/apiserver started again/);
    await twenty;
    expect([upFile()['starting'], asking.out()]).toEqual([['apiserver'], '']);
    frontIsWell = () => true;
    expect(await ended).toBe(0);
    expect(asking.out()).toBe(`apiserver started again (pid ${pids()['apiserver']})\n`);
    expect(upFile()['starting']).toBeUndefined();
  });

  test('one that ends again instead of serving', async () => {
    const env: Record<string, string> = {};
    const captured = await upWithFront(env);
    process.kill(pids()['apiserver'] ?? 0, 'SIGKILL');
    await captured.until(/apiserver exited with signal SIGKILL, see /);
    env['FAKE_apiserver'] = 'crash';
    const asking = capture();
    expect(await start(asking, '--restart=apiserver', `--data-dir=${inside()}`)).toBe(1);
    expect(asking.err()).toMatch(/^keelson up: apiserver was started, and ended: see .*\/apiserver\.log\n$/);
  });
});

describe('refusals', () => {
  const refused = async (...args: string[]): Promise<string> => {
    const captured = capture();
    expect(await start(captured, ...args)).toBe(1);
    expect(captured.out()).toBe('');
    expect(captured.err()).toMatch(/^keelson up: [^\n]*\n$/);
    return captured.err().slice('keelson up: '.length, -1);
  };

  test.each<[string[], string]>([
    [['--nodes=0'], '--nodes must be 1 to 7, not 0'],
    [['--nodes=8'], '--nodes must be 1 to 7, not 8'],
    [
      ['--nodes=x'],
      'invalid argument "x" for "--nodes" flag: strconv.ParseInt: parsing "x": invalid syntax (see keelson up --help)',
    ],
    [
      ['--base-port=65534', '--no-apiserver'],
      '--base-port 65534 needs ports 65534 to 65539; they end at 65535',
    ],
    [['--base-port=65520'], '--base-port 65520 needs ports 65520 to 65540; they end at 65535'],
    [['--ephemeral', '--data-dir=x'], '--ephemeral makes a data directory of its own: leave out --data-dir'],
    [['--bogus'], 'unknown flag: --bogus (see keelson up --help)'],
    [['now'], 'unexpected argument "now" (see keelson up --help)'],
  ])('%j', async (args, message) => {
    expect(await refused(...args)).toBe(message);
  });

  test('--restart of what is not there', async () => {
    expect(await refused('--restart=m1', `--data-dir=${directory}`)).toBe(
      `${directory} was not made by keelson up`,
    );
    await up({}, false);
    expect(await refused('--restart=m9', ...flags())).toBe(
      `no member "m9" in ${inside()}: there are m1, m2, m3`,
    );
    // This run has none.
    expect(await refused('--restart=apiserver', ...flags())).toBe(
      `no member "apiserver" in ${inside()}: there are m1, m2, m3`,
    );
    running[0]?.captured.stop();
    await running.splice(0)[0]?.ended;
    expect(await refused('--restart=m1', ...flags())).toBe(
      `no keelson up runs on ${inside()}: start it without --restart`,
    );
  });

  test('a port in use, and who uses it', async () => {
    const server = await listening(basePort + 3);
    try {
      const message = await refused(...flags());
      expect(message).toMatch(
        new RegExp(`^port ${basePort + 3} is in use by .*: stop it, or choose other ports`),
      );
      if (existsSync('/proc/net/tcp')) expect(message).toContain(`(pid ${process.pid})`);
      expect(existsSync(inside())).toBe(false);
    } finally {
      server.close();
    }
  });

  test('a member that cannot start, with its last words', async () => {
    const captured = capture({ FAKE_m2: 'crash' });
    expect(await start(captured, ...flags())).toBe(1);
    expect(captured.err()).toBe(
      `keelson up: m2 exited with code 3 before it was ready, see ${inside('m2.log')}: failed to start: the disk is a lie\n`,
    );
    expect(existsSync(inside('up.json'))).toBe(false);
  });

  test('a directory that another run uses', async () => {
    await up({}, false);
    expect(await refused(...flags())).toBe(
      `${inside()} is in use by keelson up (pid ${process.pid}): stop it, or use another --data-dir`,
    );
  });

  test('but not one whose run was killed', async () => {
    mkdirSync(inside());
    writeFileSync(inside('up.lock'), JSON.stringify({ pid: process.pid, started: 'long ago' }));
    const captured = await up({}, false);
    expect(captured.err()).toBe('');
  });

  test('members that outlived their run', async () => {
    await up({}, false);
    const left = pids();
    const file = readFileSync(inside('up.json'));
    // As if its process had gone: no lock, and the file still there.
    rmSync(inside('up.lock'));
    const expected = existsSync('/proc/self/cmdline')
      ? `${inside()}: m1, m2, m3 of an earlier run, whose keelson up was killed, still run: kill ${Object.values(left).join(' ')}`
      : expect.stringContaining(`port ${basePort} is in use`);
    expect(await refused(...flags())).toEqual(expected);
    expect(readFileSync(inside('up.json'))).toEqual(file);
  });

  test('a directory made for other members', async () => {
    await up({}, false);
    running[0]?.captured.stop();
    await running.splice(0)[0]?.ended;
    expect(await refused(...flags(), '--nodes=1')).toBe(
      `${inside()} holds 3 members on ${basePort}, ${basePort + 2}, ${basePort + 4}, not 1 member on ${basePort}: use the same --nodes and --base-port, or another --data-dir`,
    );
    expect(existsSync(inside('up.lock'))).toBe(false);
  });

  test("someone else's directory", async () => {
    mkdirSync(inside());
    writeFileSync(inside('thesis.tex'), '');
    expect(await refused(...flags())).toBe(
      `${inside()} is not empty and was not made by keelson up: choose another --data-dir`,
    );
    expect(readdirSync(inside())).toEqual(['thesis.tex']);
  });

  test('a directory that cannot be', async () => {
    writeFileSync(inside(), '');
    expect(
      await refused('--no-apiserver', `--data-dir=${inside('below')}`, `--base-port=${basePort}`),
    ).toMatch(/^cannot use data directory .*: ENOTDIR/);
  });
});
