/** CONFORMANCE.md names tests: each of them is there. */
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');

const FILES: Readonly<Record<string, string>> = {
  frames: 'rfc9113.test.ts',
  streams: 'rfc9113-streams.test.ts',
  limits: 'server-limits.test.ts',
  responses: 'rfc9113-responses.test.ts',
  client: 'rfc9113-client.test.ts',
  hpack: '../src/hpack.test.ts',
  tls: 'tls.test.ts',
  interop: 'interop.test.ts',
};

/** Every (file, name) a table's cell speaks of; a file's word holds until the next one. */
function named(cell: string, standing: string): [string, string][] {
  let file = standing;
  const names: [string, string][] = [];
  for (const [, word, name] of cell.matchAll(
    /\b(frames|streams|limits|responses|client|hpack|tls|interop)(?= ")|"([^"]+)"/g,
  )) {
    if (word !== undefined) file = word;
    else if (name !== undefined) names.push([file, name]);
  }
  return names;
}

test('every test that CONFORMANCE.md names exists', () => {
  const [, http2 = '', hpack = ''] = read('../CONFORMANCE.md').split(/^## .*$/m);
  const cells = (text: string, standing: string): [string, string][] =>
    text
      .split('\n')
      .filter((line) => line.startsWith('|'))
      .flatMap((line) =>
        line
          .split('|')
          .slice(3)
          .flatMap((cell) => named(cell, standing)),
      );
  const all = [...cells(http2, ''), ...cells(hpack, 'hpack')];
  expect(all.length).toBeGreaterThan(100);
  const text = new Map(Object.entries(FILES).map(([word, file]) => [word, read(file)]));
  const plain = (source: string): string => source.replaceAll("\\'", "'");
  const gone = all.filter(([file, name]) => !plain(text.get(file) ?? '').includes(name));
  expect(gone).toEqual([]);
});
