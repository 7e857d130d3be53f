/**
 * The npm client `@hkube/etcd` (a scheduler's state in etcd: locks, leases, watches, thousands of keys) brings its tests
 * in its package. They are run as they come against one member of a given server. They want port 4001 on localhost,
 * the one fixed port in our tests.
 *
 *   node tests/compatibility/npm-clients/hkube-etcd.ts [--server PATH|reference]
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { MemberProcess } from '../../harness/member-process.ts';
import { freePorts } from '../../../packages/base/test/free-ports.ts';
import { main } from '../../harness/script.ts';
import { NpmPackages } from './packages.ts';

const PORT = 4001;

export interface HkubeReport {
  readonly tests: number;
  readonly passes: number;
  /** Name and message of each test that failed. */
  readonly failures: readonly string[];
}

/** Whether nobody listens where the tests want a server. */
export function portIsFree(): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port: PORT, host: '127.0.0.1', exclusive: true }, () =>
      server.close(() => resolve(true)),
    );
  });
}

/** @param binary a program that takes etcd's flags */
export async function runHkubeTests(
  packages: NpmPackages,
  binary: string,
  flags: readonly string[],
): Promise<HkubeReport> {
  const home = mkdtempSync(path.join(tmpdir(), 'keelson-hkube-'));
  const [peerPort] = await freePorts(1);
  const member = new MemberProcess({
    name: 'm1',
    binary,
    clientPort: PORT,
    peerPort,
    home,
    flags: [`--initial-cluster=m1=http://127.0.0.1:${peerPort}`, ...flags],
  });
  try {
    member.start();
    await member.ready();
    const report = await mocha(packages);
    member.assertRuns();
    return report;
  } finally {
    await member.kill();
    rmSync(home, { recursive: true, force: true });
  }
}

interface MochaOutput {
  readonly stats: { readonly tests: number; readonly passes: number };
  readonly failures: readonly { readonly fullTitle: string; readonly err: { readonly message: string } }[];
}

/** The package's own `npm test`, with a report that can be read. */
function mocha(packages: NpmPackages): Promise<HkubeReport> {
  const program = path.join(packages.of('mocha'), 'bin', '_mocha');
  const args = [program, 'tests', '--recursive', '--exit', '--reporter', 'json'];
  const cwd = packages.of('@hkube/etcd');
  const env = { ...process.env, NODE_ENV: 'test' };
  return new Promise((resolve, reject) => {
    // Its exit code counts the failures, which the report names.
    execFile(process.execPath, args, { cwd, env, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      const start = stdout.indexOf('{\n  "stats"');
      if (start < 0) {
        reject(new Error(`mocha printed no report\n${stdout}\n${stderr}`, { cause: error }));
        return;
      }
      const { stats, failures } = JSON.parse(stdout.slice(start)) as MochaOutput;
      resolve({
        tests: stats.tests,
        passes: stats.passes,
        failures: failures.map(({ fullTitle, err }) => `${fullTitle}: ${err.message}`),
      });
    });
  });
}

/** Of a machine with better things to do: the tests give themselves 2 s, and 10 s for 3000 puts at once. */
export function onlyTimeouts(report: HkubeReport): boolean {
  return (
    report.failures.length > 0 && report.failures.every((one) => /: Timeout of \d+ms exceeded/.test(one))
  );
}

if (import.meta.main) {
  await main('the tests of @hkube/etcd', { values: [] }, async ({ binary, flags }, say) => {
    const packages = await NpmPackages.fetch('hkube');
    if (typeof packages === 'string') throw new Error(packages);
    using _ = packages;
    say('packages are here');
    const report = await runHkubeTests(packages, binary, flags);
    return [
      `passed      ${report.passes} of ${report.tests}`,
      ...report.failures.map((one) => `failed      ${one}`),
    ];
  });
}
