/** A long answer compressed while it is made: nothing of it is gathered first. */

import { pipeline, Readable } from 'node:stream';
import { createGzip } from 'node:zlib';

/** @param level of zlib. @throws what the chunks throw */
export async function* compressed(
  chunks: Iterable<Buffer> | AsyncIterable<Buffer>,
  level: number,
): AsyncGenerator<Buffer, void> {
  const gzip = createGzip({ level });
  // Who reads the other end is told of a failure there.
  pipeline(Readable.from(chunks), gzip, () => undefined);
  for await (const chunk of gzip) yield chunk;
}
