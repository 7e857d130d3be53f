/**
 * The runner itself, on a few mutants and the cheap suites: it runs the control, finds what there is to find
 * and calls nothing killed that is not. The whole list is run by hand (docs/mutants.md).
 */
import { expect, test } from '@jest/globals';
import { MUTANTS } from './list.ts';
import { runCampaign } from './main.ts';
import { type Mutant, MutantError, type SuiteName } from './mutant.ts';
import { type Campaign, markdown, tally } from './table.ts';
import { isAssertion } from './verdict.ts';

/** One for each kind of finding: another output, a law of a checker, a failed expectation. */
const SAMPLE = ['half-of-the-votes-wins', 'second-vote-in-a-term', 'sizes-of-large-numbers-by-bit-shifts'];

/** Nothing can tell it from the core. */
const EQUIVALENT: Mutant = {
  name: 'equivalent',
  rows: [],
  law: '',
  file: 'quorum.ts',
  find: '  let granted = 0;',
  replace: '  let granted = -0;',
  suites: ['datadriven'],
};
/** Fails everywhere, but by a TypeError. */
const CRASH: Mutant = {
  ...EQUIVALENT,
  name: 'crash',
  file: 'progress.ts',
  find: '    if (index <= this.match) return false;',
  replace: '    if (index <= undefined.match) return false;',
};

async function run(
  mutants: readonly Mutant[],
  suites: readonly SuiteName[],
  seconds: number,
): Promise<{ campaign: Campaign; lines: string[] }> {
  const lines: string[] = [];
  const print = (line: string): void => void lines.push(line);
  const campaign = await runCampaign({
    mutants,
    suites,
    unitTests: 'codec',
    seconds,
    controlSeconds: 2,
    jobs: 1,
    matrix: true,
    print,
  });
  return { campaign, lines };
}

test('a sample of the list is killed, an equivalent mutant survives, a crash does not count', async () => {
  const sample = MUTANTS.filter((each) => SAMPLE.includes(each.name));
  const { campaign, lines } = await run([...sample, EQUIVALENT, CRASH], ['datadriven', 'sim'], 30);
  const verdicts = campaign.rows.map((row) => [
    row.mutant.name,
    row.outcomes.map((each) => `${each.suite} ${each.verdict}`),
  ]);
  expect(verdicts).toEqual([
    ['half-of-the-votes-wins', ['datadriven killed', 'sim killed']],
    ['second-vote-in-a-term', ['datadriven survived', 'sim killed']],
    ['sizes-of-large-numbers-by-bit-shifts', ['datadriven survived']],
    ['equivalent', ['datadriven survived']],
    ['crash', ['datadriven crashed']],
  ]);
  expect(lines.slice(0, 2).map((line) => line.split(' ').slice(0, 3).join(' '))).toEqual([
    'control: datadriven survived',
    'control: sim survived',
  ]);
  const [, second] = campaign.rows;
  expect(second?.outcomes[1]?.finding?.text).toMatch(/^R6: \d+ votes for \d+ and \d+ in term \d+$/);
  expect(markdown(campaign)).toContain('| second-vote-in-a-term | election.ts | 1 | R6 | - | ');
  expect(tally(campaign)[0]).toMatch(/^datadriven: 1 of 5 killed; /);
});

test('unit tests kill by what they expect', async () => {
  const sample = MUTANTS.filter((each) => each.name === 'member-ids-pass-through-doubles');
  const { campaign } = await run(sample, ['unit'], 60);
  expect(campaign.rows[0]?.outcomes).toMatchObject([
    { suite: 'unit', verdict: 'killed', finding: { how: 'assertion' } },
  ]);
});

test('a mutant that fits nowhere ends the run', async () => {
  await expect(run([{ ...EQUIVALENT, find: 'nowhere' }], ['datadriven'], 1)).rejects.toThrow(MutantError);
});

const STACK = '\n    at assert (file:///packages/base/src/assert.ts:12:25)\n    at f (x.ts:1:1)';

test.each<[string, string, boolean]>([
  ['an expectation', 'Error: expect(received).toBe(expected)\n    at x (a.ts:1:1)', true],
  ['an assertion of ours', `Error: commit falls${STACK}`, true],
  ['one under a property', `Error: Property failed\n    at b (a.ts:1:1)\n\n[cause]: Error: no${STACK}`, true],
  ['a law', 'Error: R1: two leaders\n    at law (checkers.ts:1:1)', true],
  ['a type error', "TypeError: Cannot read 'x' of undefined\n    at assertive (a.ts:1:1)", false],
  [
    'a crash under a property',
    'Error: Property failed\n    at b (a)\n\n[cause]: TypeError: x\n    at y (b)',
    false,
  ],
  ['what a test throws by itself', 'Error: no campaign\n    at Member.x (paper.test.ts:1:1)', false],
])('%s', (_name, message, want) => {
  expect(isAssertion(message)).toBe(want);
});
