/**
 * The npm clients of etcd whose word counts here, fetched when a test wants them, into a directory of its own that
 * goes again. They are no dependency of ours: where they cannot be had, the caller hears why and skips.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** Longer than this, and the test is skipped. */
const FETCH_MS = 60_000;

/** What is fetched together, by exact version. */
export const PACKAGES = {
  /** The client etcd3, the newest. */
  etcd3: ['etcd3@1.1.2'],
  /**
   * `@hkube/etcd` and what its tests need. It asks for etcd3 ^1.0.2, and its tests hold with 1.0.2 alone: 1.1 numbers
   * the states of a lease anew, which it compares with numbers.
   */
  hkube: [
    '@hkube/etcd@5.1.11',
    'etcd3@1.0.2',
    'mocha@6.2.3',
    'chai@4.5.0',
    'sinon@7.5.0',
    'await-delay@1.0.0',
    'await-done@1.0.10',
  ],
} as const;

/** Installed packages. Dispose of it, and they are gone. */
export class NpmPackages implements Disposable {
  /** Holds node_modules. */
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** @returns why they cannot be had, when they cannot */
  static async fetch(group: keyof typeof PACKAGES): Promise<NpmPackages | string> {
    const directory = mkdtempSync(path.join(tmpdir(), 'keelson-npm-'));
    const failure = await npmInstall(directory, PACKAGES[group]);
    if (failure === undefined) return new NpmPackages(directory);
    rmSync(directory, { recursive: true, force: true });
    return failure;
  }

  /** Where a package lies. */
  of(name: string): string {
    return path.join(this.directory, 'node_modules', name);
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** No scripts of the packages are run. @returns what went wrong, in one line */
function npmInstall(directory: string, specs: readonly string[]): Promise<string | undefined> {
  const quick = ['--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline', '--fetch-retries=1'];
  const args = ['install', '--prefix', directory, '--loglevel=error', ...quick, ...specs];
  return new Promise((resolve) => {
    // SIGTERM would have it tidy up first, which may take as long again.
    const bounds = { timeout: FETCH_MS, killSignal: 'SIGKILL' } as const;
    execFile('npm', args, { cwd: directory, ...bounds }, (error, _stdout, stderr) => {
      if (error === null) resolve(undefined);
      else if (error.code === 'ENOENT') resolve('there is no npm');
      else if (error.killed === true) resolve(`npm did not fetch the packages within ${FETCH_MS / 1000} s`);
      else resolve(`npm could not fetch the packages (${/code (\w+)/.exec(stderr)?.[1] ?? error.code})`);
    });
  });
}
