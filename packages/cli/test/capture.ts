/** An Io whose output is kept, with signals and keys that tests send. */
import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import type { Io, StopSignal } from '../src/io.ts';

export interface Captured {
  readonly io: Io;
  /** All output so far, standard output and error apart. */
  out(): string;
  err(): string;
  stop(): void;
  /** Resolves when the output (of both) matches. */
  until(pattern: RegExp): Promise<void>;
  readonly stdin: PassThrough;
}

export function capture(env: Record<string, string | undefined> = {}, terminal = false): Captured {
  const out: Buffer[] = [];
  let err = '';
  const written = new EventEmitter();
  const stops = new Set<(signal: StopSignal) => void>();
  const stdin = Object.assign(new PassThrough(), { isTTY: terminal, setRawMode: () => stdin });
  const text = (): string => Buffer.concat(out).toString('utf8');
  return {
    stdin,
    out: text,
    err: () => err,
    stop: () => {
      for (const task of stops) task('SIGTERM');
    },
    async until(pattern) {
      while (!pattern.test(text() + err)) {
        await new Promise((resolve) => written.once('written', resolve));
      }
    },
    io: {
      env,
      stdin,
      terminal,
      columns: () => 200,
      out(chunk) {
        out.push(Buffer.from(chunk));
        written.emit('written');
      },
      err(chunk) {
        err += chunk;
        written.emit('written');
      },
      onStop(task) {
        stops.add(task);
        return () => stops.delete(task);
      },
      onExit: () => () => {},
    },
  };
}
