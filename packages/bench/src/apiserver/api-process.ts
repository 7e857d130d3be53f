/**
 * One server process of a benchmark of the API server: started with the looks of programs/server-looks.ts, asked until it
 * answers, killed with this process. What it wrote is told when it ends too early.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { cpuSeconds, memory } from '../proc.ts';
import type { ServerUsage } from '../servers.ts';

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..', '..', '..');
/** Of what is built: a server under test never runs from sources. */
const PROGRAMS = path.join(ROOT, 'packages', 'bench', 'dist', 'apiserver', 'programs');
/** As bin/runtime.sh starts servers. */
const THRIFT: readonly string[] = ['--max-semi-space-size=16', '--heap-growing-percent=160', '--no-warnings'];
const STOP_LIMIT_MS = 30_000;
const ANSWER_LIMIT_MS = 30_000;
const LOG_LINES_SHOWN = 10;

export interface LoopFigures {
  /** The longest time between two turns of the event loop. */
  readonly heldMaxMs: number;
  /** As late as 99 of 100 looks at it were, a look every millisecond. */
  readonly heldP99Ms: number;
  /** The same without the collector's pauses in it: what a handler did. */
  readonly workedMaxMs: number;
  /** The longest of those pauses. */
  readonly pauseMaxMs: number;
}

export interface HeapFigures {
  readonly heapBytes: number;
  readonly externalBytes: number;
  readonly rssBytes: number;
}

export interface StartFigures {
  readonly loadMs: number;
  readonly readyMs: number;
}

export interface ProcessOptions {
  readonly name: string;
  /** A program, or the name of one of our own (programs/). */
  readonly program: string | { readonly own: string };
  readonly args: readonly string[];
  /** File for what it writes. */
  readonly log: string;
  /** Where its profile goes when it ends; undefined: none is made. */
  readonly profiles?: string | undefined;
}

export function isBuilt(): boolean {
  return (
    existsSync(path.join(PROGRAMS, 'server-looks.js')) &&
    existsSync(path.join(ROOT, 'packages', 'apiserver', 'dist', 'main.js'))
  );
}

export class ApiProcess {
  readonly name: string;
  /** When it was started, ms of performance.now(). */
  readonly startedMs: number;
  private readonly log: string;
  private readonly child: ChildProcess;
  private readonly kill = (): void => {
    this.child.kill('SIGKILL');
  };

  constructor({ name, program, args, log, profiles }: ProcessOptions) {
    this.name = name;
    this.log = log;
    const looks = pathToFileURL(path.join(PROGRAMS, 'server-looks.js')).href;
    const options = [
      `--import=${looks}`,
      ...(profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`]),
    ];
    const { PATH } = process.env;
    const file = openSync(log, 'a');
    const [command, given] =
      typeof program === 'string'
        ? [program, args]
        : [process.execPath, [...THRIFT, path.join(PROGRAMS, `${program.own}.js`), ...args]];
    this.startedMs = performance.now();
    this.child = spawn(command, given, {
      stdio: ['ignore', file, file, 'ipc'],
      env: {
        ...(PATH !== undefined && { PATH }),
        NODE_OPTIONS: options.join(' '),
        MALLOC_ARENA_MAX: '2',
        ...(profiles !== undefined && { KEELSON_UNBUNDLED: '1' }),
      },
    });
    closeSync(file);
    this.child.on('error', () => undefined);
    process.once('exit', this.kill);
  }

  get ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null || this.child.pid === undefined;
  }

  /** Asks until it says yes. @throws Error with the end of its log when it ended, or takes too long */
  async until(answers: () => Promise<boolean>, limitMs = ANSWER_LIMIT_MS): Promise<number> {
    const deadline = performance.now() + limitMs;
    for (;;) {
      if (await answers()) return performance.now() - this.startedMs;
      if (this.ended) throw new Error(`${this.name} ended while starting:\n${this.logTail()}`);
      if (performance.now() > deadline) throw new Error(`${this.name} does not answer:\n${this.logTail()}`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  /** What the embedded program tells once. */
  started(): Promise<StartFigures> {
    return this.told<StartFigures>();
  }

  /** What one of our own programs tells next. */
  told<T>(): Promise<T> {
    return this.message<T>();
  }

  /** From now on it is counted how long the event loop is held. */
  async watchLoop(): Promise<void> {
    await this.question('watch-loop');
  }

  loop(): Promise<LoopFigures> {
    return this.question<LoopFigures>('loop');
  }

  /** After a collection. */
  heap(): Promise<HeapFigures> {
    return this.question<HeapFigures>('memory');
  }

  usage(): ServerUsage[] {
    const { pid } = this.child;
    if (pid === undefined) return [];
    const cpu = cpuSeconds(pid);
    const resident = memory(pid);
    return cpu === undefined || resident === undefined
      ? []
      : [{ name: this.name, cpuSeconds: cpu, memory: resident }];
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    process.removeListener('exit', this.kill);
    if (this.ended) return;
    const gone = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill(signal);
    const impatient = setTimeout(() => this.child.kill('SIGKILL'), STOP_LIMIT_MS);
    await gone;
    clearTimeout(impatient);
  }

  private async question<T>(text: string): Promise<T> {
    const answer = this.message<T>();
    this.child.send(text);
    return answer;
  }

  private message<T>(): Promise<T> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(limit);
        this.child.off('message', told);
        this.child.off('exit', lost);
      };
      const told = (message: unknown): void => {
        done();
        // Both ends are of one build.
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion
        resolve(message as T);
      };
      const lost = (): void => {
        done();
        reject(new Error(`${this.name} ended, or does not answer:\n${this.logTail()}`));
      };
      const limit = setTimeout(lost, ANSWER_LIMIT_MS);
      this.child.on('message', told);
      this.child.on('exit', lost);
    });
  }

  private logTail(): string {
    return existsSync(this.log)
      ? readFileSync(this.log, 'utf8').trimEnd().split('\n').slice(-LOG_LINES_SHOWN).join('\n')
      : '(no log)';
  }
}
