/**
 * An answer that is a page, with its links rewritten: out of its coding and into it again, piece by piece. What is no page
 * goes as it came, and so does what is in a coding that nobody here knows.
 */

import { pipeline, Readable } from 'node:stream';
import { createDeflate, createGunzip, createGzip, createInflate } from 'node:zlib';

import type { ApiResponse } from '../api/exchange.ts';
import { LinkRewriter } from './html-links.ts';

type Stream = Extract<ApiResponse, { kind: 'stream' }>;

const CODINGS = {
  gzip: [createGunzip, createGzip],
  deflate: [createInflate, createDeflate],
} as const;

/**
 * The answer with its links rewritten, where it is a page whose coding is understood; else the answer itself.
 *
 * @param rewrite of a URL; what it adds must not end an attribute
 */
export function withLinks(answer: Stream, rewrite: (url: string) => string): Stream {
  const { headers: told = new Map<string, readonly string[]>() } = answer;
  const type = told.get('content-type')?.[0] ?? '';
  if (type.split(';', 1)[0].trim().toLowerCase() !== 'text/html') return answer;
  const coding = told.get('content-encoding')?.[0]?.trim().toLowerCase() ?? '';
  if (coding !== '' && coding !== 'gzip' && coding !== 'deflate') return answer;
  // Another length, and other bytes than those that a digest was made of.
  const headers = new Map(told);
  for (const name of ['content-length', 'content-md5', 'digest', 'repr-digest', 'accept-ranges']) {
    headers.delete(name);
  }
  return { ...answer, headers, chunks: coded(answer.chunks, coding, new LinkRewriter(rewrite)) };
}

function coded(
  chunks: AsyncIterable<Buffer>,
  coding: '' | keyof typeof CODINGS,
  rewriter: LinkRewriter,
): AsyncIterable<Buffer> {
  if (coding === '') return rewritten(chunks, rewriter);
  const [open, close] = CODINGS[coding];
  // A failure ends all of them, and is what the reader gets.
  const plain = pipeline(Readable.from(chunks, { objectMode: false }), open(), () => undefined);
  return pipeline(Readable.from(rewritten(plain, rewriter), { objectMode: false }), close(), () => undefined);
}

async function* rewritten(
  chunks: AsyncIterable<Buffer>,
  rewriter: LinkRewriter,
): AsyncGenerator<Buffer, void> {
  for await (const chunk of chunks) {
    const text = rewriter.push(chunk.toString('latin1'));
    if (text !== '') yield Buffer.from(text, 'latin1');
  }
  const text = rewriter.end();
  if (text !== '') yield Buffer.from(text, 'latin1');
}
