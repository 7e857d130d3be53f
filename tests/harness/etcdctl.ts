/**
 * Stock etcdctl as a person runs it: arguments and standard input in; standard output, standard error and exit
 * code out, untouched. For commands that run until stopped (watch, keep-alive) there is a running form.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { clientTlsFlags, type ClusterTls } from './certificates.ts';
import { waitUntil } from './waiting.ts';

export interface CtlResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
}

export interface CtlOptions {
  readonly binary: string;
  /** "host:port", one or more. */
  readonly endpoints: readonly string[];
  /** Certificates of the cluster; undefined: without TLS. */
  readonly tls?: ClusterTls | undefined;
  readonly stdin?: string;
  /** The command is killed after this long. Default 20 s. */
  readonly timeoutMs?: number;
}

/** Runs a command to its end. */
export async function etcdctl(args: readonly string[], options: CtlOptions): Promise<CtlResult> {
  const running = new RunningCtl(args, options);
  if (options.stdin !== undefined) running.type(options.stdin);
  running.endInput();
  return running.result(options.timeoutMs ?? 20_000);
}

export class RunningCtl {
  private readonly child: ChildProcess;
  private readonly ended: Promise<number | null>;
  private out = '';
  private err = '';

  constructor(args: readonly string[], options: CtlOptions) {
    const { PATH } = process.env;
    const tls = options.tls === undefined ? [] : clientTlsFlags(options.tls);
    this.child = spawn(options.binary, [`--endpoints=${options.endpoints.join(',')}`, ...tls, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ETCDCTL_API: '3', ...(PATH === undefined ? {} : { PATH }) },
    });
    this.child.stdout?.on('data', (chunk: Buffer) => {
      this.out += chunk.toString('latin1');
    });
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.err += chunk.toString('latin1');
    });
    // The command may end before it has read all its input.
    this.child.stdin?.on('error', () => {});
    this.ended = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('close', (code) => resolve(code));
    });
  }

  get stdout(): string {
    return this.out;
  }

  type(text: string): void {
    this.child.stdin?.write(text);
  }

  endInput(): void {
    this.child.stdin?.end();
  }

  /** Until standard output matches. @returns whether it did in time */
  async prints(pattern: RegExp, timeoutMs: number): Promise<boolean> {
    try {
      await waitUntil('it is printed', { timeoutMs, everyMs: 5 }, () => pattern.test(this.out) || undefined);
      return true;
    } catch {
      return false;
    }
  }

  /** As Ctrl-C; a command that does not end then is killed. */
  async interrupt(timeoutMs = 20_000): Promise<CtlResult> {
    this.child.kill('SIGINT');
    return this.result(timeoutMs);
  }

  /** Waits for the end, or kills it after `timeoutMs`. */
  async result(timeoutMs: number): Promise<CtlResult> {
    const timer = setTimeout(() => this.child.kill('SIGKILL'), timeoutMs);
    const code = await this.ended;
    clearTimeout(timer);
    return { stdout: this.out, stderr: this.err, code };
  }
}
