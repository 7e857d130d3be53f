/**
 * kubectl as it is, run as a person runs it: arguments in; standard output, standard error and exit code out. Finds the
 * programs that are installed, and never installs any.
 */

import { execFile } from 'node:child_process';
import { readdirSync, realpathSync } from 'node:fs';
import path from 'node:path';

export interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/**
 * A process's end.
 * @param env in addition to this process's own
 * @param timeoutMs after which it is killed; kubectl's own bound is --request-timeout
 */
export function run(
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  timeoutMs = 60_000,
): Promise<Run> {
  return new Promise((resolve) => {
    execFile(file, args, { env: { ...process.env, ...env }, timeout: timeoutMs }, (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), out, err }),
    );
  });
}

/** Whether there is a kubectl on the path that starts. */
export async function kubectlStarts(): Promise<boolean> {
  return (await run('kubectl', ['version', '--client'], {})).code === 0;
}

/**
 * The kubectl on the path, and versions of it that lie where it does (kubectl.1.27): the oldest and the newest, all of
 * them with KEELSON_KUBECTL=all.
 */
export function kubectlPrograms(): string[] {
  const found: string[] = [];
  for (const folder of (process.env['PATH'] ?? '').split(path.delimiter)) {
    try {
      const real = realpathSync(path.join(folder, 'kubectl'));
      const versions = readdirSync(path.dirname(real))
        .filter((name) => /^kubectl\.1\.\d+$/.test(name))
        .map((name) => path.join(path.dirname(real), name));
      found.push(...(versions.length > 0 ? versions : [real]));
      break;
    } catch {
      // Not in this folder.
    }
  }
  const all = found.toSorted();
  if (process.env['KEELSON_KUBECTL'] === 'all') return all;
  return [...new Set([...all.slice(0, 1), ...all.slice(-1)])];
}
