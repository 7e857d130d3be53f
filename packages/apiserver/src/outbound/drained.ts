/** Waiting until a stream of Node's takes more. */

import type { Writable } from 'node:stream';

/** Resolves when the stream takes more, or never will: at once where it does not ask to wait. */
export function drained(stream: Writable): Promise<void> {
  if (!stream.writableNeedDrain || stream.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off('drain', done);
      stream.off('close', done);
      resolve();
    };
    stream.on('drain', done);
    stream.on('close', done);
  });
}
