/** The README's snippets run, and print what they say they print. */
import { expect, test } from '@jest/globals';
import { runSnippets } from '../../rpc/test/readme.ts';

test('README', async () => {
  const runs = await runSnippets(new URL('../README.md', import.meta.url), (code) => code);
  expect(runs.map(({ promised }) => promised.length)).toEqual([2, 1]);
  for (const { printed, promised } of runs) expect(printed).toEqual(promised);
});
