/** A long answer compressed while it is made: nothing of it is gathered first. */

import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

/** @param level of zlib. @throws what the chunks throw */
export async function* compressed(
  chunks: Iterable<Buffer> | AsyncIterable<Buffer>,
  level: number,
): AsyncGenerator<Buffer, void> {
  const gzip = createGzip({ level });
  // Who reads the other end is told of a failure there.
  pipeline(Readable.from(chunks), gzip).catch(() => undefined);
  for await (const chunk of gzip) yield chunk;
}
