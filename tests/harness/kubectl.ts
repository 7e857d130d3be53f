/**
 * Stock kubectl as a person runs it: arguments and standard input in; standard output, standard error and exit code
 * out, untouched. Finds the versions that are installed: the one on the path, those beside it that carry their version
 * in the name, and what KUBECTL names. It never installs any.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, realpathSync } from 'node:fs';
import path from 'node:path';

export interface KubectlBinary {
  /** "1.33"; "default" for one that does not say so in its name. */
  readonly version: string;
  readonly path: string;
}

export interface KubectlResult {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Those that are there, oldest first; the one without a version comes last. */
export function installedKubectls(): KubectlBinary[] {
  const named = process.env['KUBECTL'];
  if (named !== undefined) return [{ version: 'default', path: named }];
  const found = new Map<string, KubectlBinary>();
  for (const directory of (process.env['PATH'] ?? '').split(path.delimiter)) {
    const file = path.join(directory, 'kubectl');
    if (directory === '' || !existsSync(file)) continue;
    if (!found.has('default')) found.set('default', { version: 'default', path: file });
    const home = path.dirname(realpathSync(file));
    for (const name of readdirSync(home)) {
      const version = /^kubectl\.(1\.\d+)$/.exec(name)?.[1];
      if (version !== undefined && !found.has(version)) {
        found.set(version, { version, path: path.join(home, name) });
      }
    }
  }
  const minor = ({ version }: KubectlBinary): number =>
    version === 'default' ? Infinity : Number(version.split('.')[1]);
  return [...found.values()].toSorted((a, b) => minor(a) - minor(b));
}

/** The versions asked for, as far as they are there; where none is, the one on the path. */
export function kubectlsOf(...versions: readonly string[]): KubectlBinary[] {
  const installed = installedKubectls();
  const wanted = installed.filter(({ version }) => versions.includes(version));
  return wanted.length > 0 ? wanted : installed.slice(-1);
}

export interface KubectlOptions {
  readonly binary: string;
  readonly kubeconfig: string;
  /** For its caches. */
  readonly home: string;
}

export interface RunOptions {
  readonly stdin?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
}

/** A command is killed after this. */
const TIMEOUT_MS = 120_000;

export class Kubectl {
  private readonly options: KubectlOptions;

  constructor(options: KubectlOptions) {
    this.options = options;
    mkdirSync(options.home, { recursive: true });
  }

  run(args: readonly string[], { stdin, env = {} }: RunOptions = {}): Promise<KubectlResult> {
    const { binary, kubeconfig, home } = this.options;
    const { PATH = '' } = process.env;
    return new Promise((resolve) => {
      const child = execFile(
        binary,
        ['--request-timeout=60s', ...args],
        { env: { PATH, HOME: home, KUBECONFIG: kubeconfig, ...env }, timeout: TIMEOUT_MS },
        (error, out, err) => resolve({ code: error === null ? 0 : Number(error.code ?? 1), out, err }),
      );
      // The command may end before it has read all its input.
      child.stdin?.on('error', () => {});
      child.stdin?.end(stdin);
    });
  }
}
