/**
 * One server process and its data directory: start, signal, restart on the same directory, read its log. It
 * starts any program that takes etcd's flags, and never looks inside the directory.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Seat } from './network.ts';
import { HopelessError, waitUntil } from './waiting.ts';

/** etcd prints this once its client port answers (server/embed/serve.go). */
export const READY_LINE = 'ready to serve client requests';

export interface MemberOptions {
  readonly name: string;
  readonly binary: string;
  readonly clientPort: number;
  readonly peerPort: number;
  /** Holds the data directory and the log file. */
  readonly home: string;
  /** All but name, data directory and URLs. */
  readonly flags: readonly string[];
  /** Its URLs are https; `flags` say with what. */
  readonly secure?: boolean;
  /** Where it stands; default: 127.0.0.1, at the ports above. */
  readonly seat?: Seat;
  /** Beside PATH. */
  readonly environment?: Readonly<Record<string, string>>;
}

type State =
  | { readonly kind: 'down' }
  | { readonly kind: 'running'; readonly child: ChildProcess; readonly logStart: number }
  | { readonly kind: 'exited'; readonly code: number | null; readonly signal: NodeJS.Signals | null };

export class MemberProcess {
  readonly name: string;
  readonly options: MemberOptions;
  readonly dataDir: string;
  readonly logFile: string;
  /** "host:port", for clients. */
  readonly address: string;
  private state: State = { kind: 'down' };

  constructor(options: MemberOptions) {
    this.name = options.name;
    this.options = options;
    mkdirSync(options.home, { recursive: true });
    this.dataDir = path.join(options.home, 'data');
    this.logFile = path.join(options.home, 'log');
    this.address = `${this.host}:${options.clientPort}`;
  }

  get clientUrl(): string {
    return `${this.scheme}://${this.address}`;
  }

  get peerUrl(): string {
    return `${this.scheme}://${this.host}:${this.options.peerPort}`;
  }

  private get host(): string {
    return this.options.seat?.host ?? '127.0.0.1';
  }

  private get scheme(): string {
    return this.options.secure === true ? 'https' : 'http';
  }

  /** Of the running process; undefined when there is none. */
  get pid(): number | undefined {
    return this.state.kind === 'running' ? this.state.child.pid : undefined;
  }

  get running(): boolean {
    return this.state.kind === 'running';
  }

  /**
   * Spawns the process on its data directory. It does not wait for anything.
   * @param flags of this start; they come last, and so outrank the others
   */
  start(flags: readonly string[] = []): void {
    if (this.state.kind === 'running') throw new Error(`${this.name} runs already`);
    const log = openSync(this.logFile, 'a');
    const logStart = this.log().length;
    const { PATH } = process.env;
    // As the programs that start an etcd do it: almost nothing in the environment.
    const words = [
      ...(this.options.seat?.launcher ?? []),
      this.options.binary,
      ...this.commandLine(),
      ...flags,
    ];
    const child = spawn(words[0], words.slice(1), {
      stdio: ['ignore', log, log],
      env: { ...(PATH === undefined ? {} : { PATH }), ...this.options.environment },
    });
    closeSync(log);
    this.state = { kind: 'running', child, logStart };
    child.once('error', (error) => {
      this.state = { kind: 'exited', code: null, signal: null };
      process.stderr.write(`${this.name}: ${error.message}\n`);
    });
    child.once('exit', (code, signal) => {
      this.state = { kind: 'exited', code, signal };
    });
  }

  /** Its command line after the program's name. */
  commandLine(): string[] {
    const { clientPort, peerPort } = this.options.seat?.behind ?? this.options;
    const listen = (port: number): string => `${this.scheme}://${this.host}:${port}`;
    return [
      `--name=${this.name}`,
      `--data-dir=${this.dataDir}`,
      `--listen-client-urls=${listen(clientPort)}`,
      `--advertise-client-urls=${this.clientUrl}`,
      `--listen-peer-urls=${listen(peerPort)}`,
      `--initial-advertise-peer-urls=${this.peerUrl}`,
      ...this.options.flags,
    ];
  }

  /**
   * Resolves once this start printed that it serves clients.
   * @throws HopelessError with the end of the log when the process ends first, WaitError when it takes too long
   */
  async ready(timeoutMs = 30_000): Promise<void> {
    await waitUntil(`${this.name} is ready`, { timeoutMs, everyMs: 5 }, () => {
      this.assertRuns();
      return this.logSinceStart().includes(READY_LINE) || undefined;
    });
  }

  /** @throws HopelessError with the end of the log when there is no process */
  assertRuns(): void {
    if (this.state.kind !== 'running') throw new HopelessError(`${this.describe()}\n${this.logTail()}`);
  }

  /** Sends a signal. STOP and CONT are also just signals. */
  signal(signal: NodeJS.Signals): void {
    if (this.state.kind !== 'running') throw new Error(`${this.name} does not run: no ${signal}`);
    this.state.child.kill(signal);
  }

  /** kill -9, and waits until the process is gone. */
  kill(): Promise<void> {
    return this.end('SIGKILL');
  }

  /** Asks it to stop, and waits until it has. */
  stop(): Promise<void> {
    return this.end('SIGTERM');
  }

  /** Resolves when the process has ended; at once when it does not run. */
  exited(): Promise<void> {
    const state = this.state;
    if (state.kind !== 'running') return Promise.resolve();
    return new Promise((resolve) => {
      state.child.once('exit', () => resolve());
    });
  }

  /** Of the process that ended last. */
  get exitCode(): number | null | undefined {
    return this.state.kind === 'exited' ? this.state.code : undefined;
  }

  log(): string {
    try {
      return readFileSync(this.logFile, 'utf8');
    } catch {
      return '';
    }
  }

  /** What the process that runs now has logged. */
  logSinceStart(): string {
    return this.state.kind === 'running' ? this.log().slice(this.state.logStart) : this.log();
  }

  /** The last lines of the log, for messages. */
  logTail(lines = 25): string {
    return this.log()
      .trimEnd()
      .split('\n')
      .slice(-lines)
      .map((line) => `  ${this.name} | ${line.slice(0, line.includes('fatal') ? 4000 : 300)}`)
      .join('\n');
  }

  describe(): string {
    const { state } = this;
    if (state.kind === 'running') return `${this.name} runs as ${state.child.pid}`;
    if (state.kind === 'down') return `${this.name} was not started`;
    return `${this.name} ended with ${state.signal ?? `exit code ${state.code}`}`;
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    if (this.state.kind !== 'running') return;
    const gone = this.exited();
    this.state.child.kill(signal);
    await gone;
  }
}
