/**
 * A readable stream taken piece by piece, on demand: nothing is read before somebody asks, so a body nobody wants
 * stays with its sender.
 */

import type { Readable } from 'node:stream';

/** Reads a stream's pieces in order; one read at a time. */
export class BodyChunks {
  private readonly stream: Readable;

  constructor(stream: Readable) {
    this.stream = stream;
  }

  /**
   * All there is, as one.
   *
   * @returns undefined when it is more than that; the stream is not read on then
   * @throws what ended the stream before its end
   */
  whole(limitBytes: number): Promise<Buffer | undefined> {
    const { stream } = this;
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let size = 0;
      const take = (chunk: Buffer): void => {
        size += chunk.length;
        chunks.push(chunk);
        if (size <= limitBytes) return;
        stream.off('data', take);
        stream.pause();
        resolve(undefined);
      };
      const lost = (): void => {
        reject(stream.errored ?? new Error('the client went away before its request was whole'));
      };
      if (stream.readableEnded) {
        resolve(Buffer.alloc(0));
        return;
      }
      if (stream.destroyed) {
        lost();
        return;
      }
      stream.on('data', take);
      stream.once('end', () => resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks, size)));
      stream.once('close', lost);
      stream.once('error', lost);
    });
  }

  /**
   * The next piece; undefined at the end.
   *
   * @throws what ended the stream before its end
   */
  read(): Promise<Buffer | undefined> {
    const { stream } = this;
    return new Promise((resolve, reject) => {
      const next = (): boolean => {
        const chunk: unknown = stream.read();
        if (Buffer.isBuffer(chunk)) {
          finish();
          resolve(chunk);
          return true;
        }
        if (stream.readableEnded) {
          finish();
          resolve(undefined);
          return true;
        }
        if (stream.destroyed) {
          finish();
          reject(stream.errored ?? new Error('the client went away before its request was whole'));
          return true;
        }
        return false;
      };
      const finish = () => {
        stream.off('readable', next);
        stream.off('end', next);
        stream.off('close', next);
        stream.off('error', next);
      };
      stream.on('readable', next);
      stream.on('end', next);
      stream.on('close', next);
      stream.on('error', next);
      next();
    });
  }
}
