/**
 * Every public method of the npm client `etcd3` against a real etcd and against ours: what it sees must be the same.
 *
 *   node tests/compatibility/npm-clients/etcd3.ts [--server PATH] [--flag=--NAME=VALUE …]
 */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { REFERENCE_ETCD } from '../../harness/binaries.ts';
import { main } from '../../harness/script.ts';
import type { Session } from './etcd3-session.ts';
import { NpmPackages } from './packages.ts';

/** The session takes 15 s on two idle cores. */
const SESSION_MS = 150_000;

/** Steps at which etcd 3.7 answers otherwise than Debian's 3.4.23, with the reason. */
export const SESSION_DIFFERENCES: ReadonlyMap<string, string> = new Map([
  ['state of authentication', '3.4 has no AuthStatus'],
  ['ann may not defragment', '3.4 answers Unknown "auth: permission denied" where 3.5 took PermissionDenied'],
]);

export interface SessionDifference {
  readonly step: string;
  readonly reference: string | undefined;
  readonly ours: string | undefined;
}

/** @param directory of the package @param binary a program that takes etcd's flags */
export function runEtcd3Session(
  directory: string,
  binary: string,
  flags: readonly string[] = [],
): Promise<Session> {
  const program = path.join(path.dirname(fileURLToPath(import.meta.url)), 'etcd3-session.ts');
  const args = [
    program,
    '--package',
    directory,
    '--server',
    binary,
    ...flags.map((flag) => `--flag=${flag}`),
  ];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { timeout: SESSION_MS, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error === null) resolve(JSON.parse(stdout) as Session);
      else {
        const how =
          error.killed === true ? `took over ${SESSION_MS} ms` : `ended with ${error.signal ?? error.code}`;
        reject(new Error(`the session at ${binary} ${how}\n${stderr}`, { cause: error }));
      }
    });
  });
}

/** Steps that were seen differently, in order, whether that is known or not. */
export function compareSessions(reference: Session, ours: Session): SessionDifference[] {
  const differences: SessionDifference[] = [];
  for (let i = 0; i < Math.max(reference.steps.length, ours.steps.length); i++) {
    const [theirs, our] = [reference.steps.at(i), ours.steps.at(i)];
    if (theirs?.name === our?.name && theirs?.outcome === our?.outcome) continue;
    const step = theirs?.name === our?.name ? (our?.name ?? '') : `${theirs?.name} / ${our?.name}`;
    differences.push({ step, reference: theirs?.outcome, ours: our?.outcome });
  }
  return differences;
}

if (import.meta.main) {
  await main('every method of etcd3', { values: [] }, async ({ binary, flags }, say) => {
    if (REFERENCE_ETCD === undefined) throw new Error('there is no real etcd on the PATH');
    const packages = await NpmPackages.fetch('etcd3');
    if (typeof packages === 'string') throw new Error(packages);
    using _ = packages;
    say('the package is here');
    const directory = packages.of('etcd3');
    const reference = await runEtcd3Session(directory, REFERENCE_ETCD);
    say(`a real etcd: ${reference.steps.length} steps`);
    const ours = await runEtcd3Session(directory, binary, flags);
    const differences = compareSessions(reference, ours);
    const unknown = differences.filter(({ step }) => !SESSION_DIFFERENCES.has(step));
    if (unknown.length > 0) throw new Error(JSON.stringify(unknown, null, 2));
    return [
      `steps       ${ours.steps.length}, the same but for ${differences.length}`,
      ...differences.map(({ step }) => `            ${step}: ${SESSION_DIFFERENCES.get(step)}`),
      `methods     ${ours.methods.length} public ones, not called: ${ours.uncalled.join(' ') || 'none'}`,
    ];
  });
}
