/**
 * What a command may touch of its process: streams, environment, signals. Passed as an argument so that tests
 * run commands in process and read what they wrote. It never exits; commands return their exit code.
 */
import { asBuffer } from '@keelson/base';
import { errorCode } from './plain.ts';

export interface Input extends AsyncIterable<Uint8Array | string> {
  readonly isTTY?: boolean;
  setRawMode?(raw: boolean): unknown;
  on(event: 'data', task: (chunk: Uint8Array | string) => void): unknown;
  off(event: 'data', task: (chunk: Uint8Array | string) => void): unknown;
  pause(): unknown;
  resume(): unknown;
}

export type StopSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: Input;
  /** Whether standard output is a terminal that a view may be drawn on. */
  readonly terminal: boolean;
  /** How wide the terminal is now; 80 where there is none. */
  columns(): number;
  out(text: string | Uint8Array): void;
  err(text: string): void;
  /** Calls back at each signal that asks to stop. @returns a function that ends the subscription */
  onStop(task: (signal: StopSignal) => void): () => void;
  /** Calls back, synchronously, when the process ends, for whatever reason. @returns as onStop */
  onExit(task: () => void): () => void;
}

const STOP_SIGNALS: readonly StopSignal[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** The process's own. A reader of its output that goes away counts as a request to stop. */
export function processIo(): Io {
  const stops = new Set<(signal: StopSignal) => void>();
  process.stdout.on('error', (error) => {
    if (errorCode(error) !== 'EPIPE') throw error;
    if (stops.size === 0) process.exit(1);
    for (const task of stops) task('SIGHUP');
  });
  return {
    env: process.env,
    stdin: process.stdin,
    terminal: process.stdout.isTTY,
    columns: () => process.stdout.columns || 80,
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    onStop(task) {
      // Only while someone listens: `keelson store` has its own handlers, and without any the signal ends us.
      const heard = STOP_SIGNALS.map((signal) => [signal, () => task(signal)] as const);
      for (const [signal, handler] of heard) process.on(signal, handler);
      stops.add(task);
      return () => {
        for (const [signal, handler] of heard) process.off(signal, handler);
        stops.delete(task);
      };
    },
    onExit(task) {
      process.on('exit', task);
      return () => process.off('exit', task);
    },
  };
}

/** Lines of a stream, each without its newline. */
export class LineReader {
  private readonly chunks: AsyncIterator<Uint8Array | string>;
  private rest: Buffer = Buffer.alloc(0);

  constructor(input: AsyncIterable<Uint8Array | string>) {
    this.chunks = input[Symbol.asyncIterator]();
  }

  /** @returns undefined at the end; what follows the last newline is not a line */
  async next(): Promise<string | undefined> {
    for (;;) {
      const end = this.rest.indexOf(0x0a);
      if (end >= 0) {
        const line = this.rest.toString('utf8', 0, end);
        this.rest = this.rest.subarray(end + 1);
        return line;
      }
      const chunk = await this.chunks.next();
      if (chunk.done === true) return undefined;
      this.rest = Buffer.concat([this.rest, toBuffer(chunk.value)]);
    }
  }
}

/** Everything up to the end of the stream. */
export async function readAll(input: AsyncIterable<Uint8Array | string>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of input) chunks.push(toBuffer(chunk));
  return Buffer.concat(chunks);
}

function toBuffer(chunk: Uint8Array | string): Buffer {
  return typeof chunk === 'string' ? Buffer.from(chunk, 'utf8') : asBuffer(chunk);
}
