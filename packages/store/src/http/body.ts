/** A whole HTTP body within a bound, for the small questions and answers between members. */
import type { IncomingMessage } from 'node:http';

/** @throws Error when the body is longer, or its connection's error */
export async function readAll(message: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new Error(`a body of more than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
