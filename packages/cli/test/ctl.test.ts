/**
 * `keelson ctl` against the etcdctl of this machine: the same script on a fresh etcd each, outputs equal but for
 * lease ids and times. What an etcdctl of 3.4 says differently from later ones is marked in the script.
 */
import { spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { run } from '../src/cli.ts';
import { capture } from './capture.ts';
import { HAS_ETCD, startEtcd, type EtcdProcess } from '../../base/test/etcd-process.ts';
import { SCRIPT, type Step } from './ctl-script.ts';
import { freePorts } from '../../base/test/free-ports.ts';

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  /** The last line that starts with "Error: ". */
  readonly error: string;
}

type Runner = (args: readonly string[], step: Step) => Promise<Outcome>;

const lineCount = (text: string): number => text.split('\n').length - 1;

const errorLine = (err: string): string =>
  err.split('\n').findLast((line) => line.startsWith('Error: ')) ?? '';

const runEtcdctl: Runner = (args, { stdin, env, stopAfterLines }) =>
  new Promise((resolve) => {
    const child = spawn('etcdctl', args, { env: { PATH: process.env['PATH'], ETCDCTL_API: '3', ...env } });
    const out: Buffer[] = [];
    let err = '';
    let stopped = false;
    child.stdout.on('data', (chunk: Buffer) => {
      out.push(chunk);
      if (stopAfterLines === undefined || lineCount(Buffer.concat(out).toString()) < stopAfterLines) return;
      stopped = true;
      child.kill('SIGKILL');
    });
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
    // A command that fails at once does not read its input.
    child.stdin.on('error', () => {});
    child.stdin.end(stdin ?? '');
    child.on('close', (code) =>
      resolve({ code: stopped ? null : code, out: Buffer.concat(out).toString(), error: errorLine(err) }),
    );
  });

const runOurs: Runner = async (args, { stdin, env, stopAfterLines }) => {
  const captured = capture({ PATH: process.env['PATH'], ...env });
  captured.stdin.end(stdin ?? '');
  const ended = run(['ctl', ...args], captured.io);
  if (stopAfterLines !== undefined) {
    await Promise.race([captured.until(new RegExp(`^(?:.*\n){${stopAfterLines}}`)), ended]);
    captured.stop();
    await ended;
    return { code: null, out: captured.out(), error: errorLine(captured.err()) };
  }
  return { code: await ended, out: captured.out(), error: errorLine(captured.err()) };
};

/** Runs the script; lease ids and times in what comes out are replaced by their names. */
async function converse(runner: Runner, endpoint: string): Promise<Outcome[]> {
  const leases: string[] = [];
  const server = memberId(
    (await runEtcdctl([`--endpoints=${endpoint}`, 'member', 'list'], { args: [] })).out,
  );
  let member = 'fffffffffff';
  const outcomes: Outcome[] = [];
  const named = (text: string): string => {
    let plain = text;
    leases.forEach((id, index) => {
      plain = plain
        .replaceAll(id, `LEASE${index + 1}`)
        .replaceAll(String(BigInt(`0x${id}`)), `LEASE${index + 1}`);
    });
    return (
      plain
        .replaceAll(/[0-9.]+(?:ms|µs|s)\b/g, 'TIME')
        .replaceAll(/remaining\(\d+s\)|"ttl":4\d\d|"TTL" : 4\d\d/g, 'REMAINING')
        // Asking for alarms takes an entry of the log, and later etcdctls ask more often; leases are in the hash; pages vary.
        .replaceAll(/"(raftIndex|raftAppliedIndex|hash|dbSize|dbSizeInUse)":\d+/g, '"$1":N')
        .replaceAll(member, 'MEMBER')
        .replaceAll(String(BigInt(`0x${member}`)), 'MEMBER')
        // One id in sixteen is a digit shorter than the others.
        .replaceAll(/ +MEMBER +/g, ' MEMBER ')
        // What etcdctl says since 3.6, or does not say.
        .replaceAll('added as learner to', 'added to')
        .replaceAll('"Revision" : 0\n', '')
        .replaceAll('"keelson ctl"', '"etcdctl"')
        .replaceAll(/ +TOOK +/g, ' TOOK ')
        .replaceAll(/ +TIME/g, ' TIME')
        .replaceAll(/TIME +/g, 'TIME ')
        .replaceAll(/\+-[-+]+\+/g, 'RULE')
        .replaceAll('Error: Error reading', 'Error: error reading')
    );
  };
  for (const step of SCRIPT) {
    const args = step.args.map((word) =>
      word
        .replace(/\$(\d)/, (_, index) => leases[Number(index) - 1] ?? '')
        .replace('$M', member)
        .replace('$S', server),
    );
    const { code, out, error } = await runner([`--endpoints=${endpoint}`, ...args], step);
    if (code === 0 && step.args.includes('grant')) leases.push(grantedId(out));
    if (code === 0 && step.args.join(' ').startsWith('member add')) member = memberId(out);
    // Members are listed by their ids, which are made of the time.
    const shown =
      step.args[0] === 'member'
        ? named(out)
            .split(/[\n",{}[\]]+/)
            .sort()
            .join('\n')
        : named(out);
    outcomes.push({ code, out: shown, error: named(error) });
  }
  return outcomes;
}

/** Of what was added, or of the first member listed. */
function memberId(out: string): string {
  const hex = /^Member +([0-9a-f]+) added|^([0-9a-f]+), /.exec(out);
  const decimal = /"member":\{"ID":(\d+)/.exec(out)?.[1];
  return hex?.[1] ?? hex?.[2] ?? BigInt(decimal ?? 0).toString(16);
}

function grantedId(out: string): string {
  const simple = /lease ([0-9a-f]{16}) granted/.exec(out)?.[1];
  const decimal = /"ID"\s*:\s*(\d+)/.exec(out)?.[1];
  return simple ?? BigInt(decimal ?? 0).toString(16);
}

const title = ({ args, stdin, env }: Step): string =>
  `${Object.entries(env ?? {})
    .map((pair) => `${pair.join('=')} `)
    .join('')}ctl ${args.join(' ')}${stdin === undefined ? '' : ` < ${JSON.stringify(stdin)}`}`;

const difference = HAS_ETCD ? describe : describe.skip;

difference(HAS_ETCD ? 'ctl and etcdctl' : 'ctl and etcdctl (skipped: no etcd and etcdctl on PATH)', () => {
  let theirs: Outcome[] = [];
  let ours: Outcome[] = [];

  beforeAll(async () => {
    const ports = await freePorts(2);
    for (const runner of [runEtcdctl, runOurs]) {
      const etcd: EtcdProcess = await startEtcd({ ports });
      try {
        const outcomes = await converse(runner, etcd.endpoint);
        if (runner === runOurs) ours = outcomes;
        else theirs = outcomes;
      } finally {
        await etcd.stop();
      }
    }
  }, 300_000);

  test.each(SCRIPT.map((step, index): [string, number, Step] => [title(step), index, step]))(
    '%s',
    (_title, index, { only }) => {
      const pick = (outcome: Outcome | undefined): Partial<Outcome> | undefined => {
        if (outcome === undefined || only === undefined) return outcome;
        const { code, error } = outcome;
        if (only === 'error') return { error };
        return only === 'code' ? { code } : { code, error };
      };
      expect(ours[index]).toBeDefined();
      expect(pick(ours[index])).toEqual(pick(theirs[index]));
    },
  );
});

difference(HAS_ETCD ? 'ctl alone' : 'ctl alone (skipped: no etcd and etcdctl on PATH)', () => {
  let etcd: EtcdProcess | undefined;
  beforeAll(async () => {
    etcd = await startEtcd();
  });
  afterAll(async () => {
    await etcd?.stop();
  });

  const ctl = async (...args: string[]): Promise<{ code: number; out: string; err: string }> => {
    const captured = capture();
    const code = await run(['ctl', `--endpoints=${etcd?.endpoint ?? ''}`, ...args], captured.io);
    return { code, out: captured.out(), err: captured.err() };
  };

  test('cas and cad', async () => {
    expect(await ctl('cas', 'k', '1', '--prev-exist=false')).toEqual({ code: 0, out: 'SUCCESS\n', err: '' });
    expect(await ctl('cas', 'k', '2', '--prev-exist=false')).toEqual({
      code: 1,
      out: 'FAILURE\nk\n1\n',
      err: '',
    });
    expect(await ctl('cas', 'k', '2', '--prev-value=1')).toEqual({
      code: 0,
      out: 'SUCCESS\nk\n1\n',
      err: '',
    });
    expect(await ctl('cas', 'k', '3', '--prev-version=1')).toEqual({
      code: 1,
      out: 'FAILURE\nk\n2\n',
      err: '',
    });
    const failed = await ctl('cad', 'k', '--prev-value=1', '-w', 'json');
    expect(failed.code).toBe(1);
    expect(JSON.parse(failed.out)).toMatchObject({
      succeeded: false,
      current: { key: 'aw==', value: 'Mg==' },
    });
    expect(await ctl('cad', 'k', '--prev-mod-rev=3')).toEqual({ code: 0, out: 'SUCCESS\nk\n2\n', err: '' });
    expect(await ctl('cad', 'k', '--prev-exist=true')).toEqual({ code: 1, out: 'FAILURE\n', err: '' });
    expect((await ctl('cas', 'k', 'v')).err).toBe(
      'Error: a condition is needed: --prev-value, --prev-mod-rev, --prev-version or --prev-exist\n',
    );
  });

  test('--count-only needs a format that shows it', async () => {
    expect((await ctl('get', '--prefix', '', '--count-only', '-w', 'fields')).out).toMatch(
      /"Count" : \d+\n$/,
    );
    expect(await ctl('get', 'k', '--count-only')).toEqual({
      code: 128,
      out: '',
      err: 'Error: --count-only is only for `--write-out=fields`\n',
    });
  });

  test('an interactive watch, and its progress', async () => {
    const captured = capture();
    const ended = run(['ctl', `--endpoints=${etcd?.endpoint ?? ''}`, 'watch', '-i'], captured.io);
    await ctl('put', 'iw', '1');
    const { out } = await ctl('get', 'iw', '-w', 'json');
    const revision = Number(/"mod_revision":(\d+)/.exec(out)?.[1]);
    captured.stdin.write(`watch iw --rev ${revision}\n`);
    await captured.until(/PUT\niw\n1\n/);
    captured.stdin.write('progress\n');
    await captured.until(/progress notify: \d+\n/);
    captured.stdin.end();
    expect(await ended).toBe(3);
    expect(captured.out()).toBe(`PUT\niw\n1\nprogress notify: ${revision}\n`);
    expect(captured.err()).toBe('Error: error reading watch request line: EOF\n');
  });

  test('an endpoint where nobody is', async () => {
    const captured = capture();
    const args = ['--endpoints=127.0.0.1:1', '--command-timeout=200ms', '--dial-timeout=100ms'];
    expect(await run(['ctl', ...args, 'get', 'k'], captured.io)).toBe(1);
    expect(errorLine(captured.err())).toBe('Error: context deadline exceeded');
  });
});

test.each<[string[], number, RegExp, RegExp]>([
  [['--help'], 0, /^Usage:\n {2}keelson up /, /^$/],
  [[], 1, /^$/, /^Usage:/],
  [['nonsense'], 1, /^$/, /^keelson: unknown command "nonsense"\nUsage:/],
  [['version'], 0, /^keelson \d/, /^$/],
  [['bench', 'nonsense'], 1, /^$/, /^keelson bench: unknown workload nonsense;/],
  [['apiserver'], 1, /^$/, /^Error: --etcd-servers must be specified\n$/],
  [['apiserver', '--help'], 0, /^The Kubernetes API server[^]*--etcd-servers strings\n/, /^$/],
  [['up', '--help'], 0, /--base-port=0/, /^$/],
  [['ctl'], 0, /\nKey-value commands\n[^]*\n {2}lease +Lease related commands\n/, /^$/],
  [['ctl', 'lease'], 0, /keep-alive +Keeps leases alive/, /^$/],
  [['ctl', 'help', 'txn'], 0, /Usage:\n {2}keelson ctl txn \[options\] \[flags\]\n/, /^$/],
  [['ctl', 'get', '-h'], 0, /\n {6}--print-value-only {5}Only write values when/, /^$/],
  [['ctl', 'nonsense'], 1, /^$/, /^Error: unknown command "nonsense" for "keelson ctl"\n/],
  [['ctl', '--endpoints=ftp://a:1', 'get', 'k'], 128, /^$/, /^Error: endpoint ftp:/],
  [['ctl', '--cert=x', 'get', 'k'], 128, /^$/, /^Error: KeyFile and CertFile must both be present/],
])('keelson %j', async (argv, code, out, err) => {
  const captured = capture();
  expect(await run(argv, captured.io)).toBe(code);
  expect(captured.out()).toMatch(out);
  expect(captured.err()).toMatch(err);
});

test('a variable beside its flag is refused, an unknown one told', async () => {
  const captured = capture({ ETCDCTL_HEX: 'true', ETCDCTL_FOO: 'x' });
  expect(await run(['ctl', '--hex', 'get', 'k'], captured.io)).toBe(1);
  expect(captured.err()).toContain('Error: conflicting environment variable "ETCDCTL_HEX" is shadowed by');
  const other = capture({ ETCDCTL_FOO: 'x' });
  await run(['ctl', '--endpoints=', 'get', 'k'], other.io);
  expect(other.err()).toContain('unrecognized environment variable ETCDCTL_FOO=x\n');
});
