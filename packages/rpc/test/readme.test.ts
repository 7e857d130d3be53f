/** The README's snippets run, and print what they say they print. */
import { expect, test } from '@jest/globals';
import { runSnippets } from './readme.ts';

test('README', async () => {
  for (const { printed, promised } of await runSnippets(
    new URL('../README.md', import.meta.url),
    (code) => code,
  )) {
    expect(promised.length).toBeGreaterThan(0);
    expect(printed).toEqual(promised);
  }
});
