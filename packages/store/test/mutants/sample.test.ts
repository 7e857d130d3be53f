/**
 * The runner itself, on a few mutants: it asks in order, believes only what the store as it is does not say, and calls
 * nothing killed that is not. The whole list is run by hand (docs/mutants.md).
 */
import { expect, test } from '@jest/globals';
import { MUTANTS } from './list.ts';
import { runCampaign } from './main.ts';
import { type Catcher, type Mutant, MutantError } from './mutant.ts';
import { markdown, type Row, tally } from './table.ts';

const REVISIONS: Catcher = 'packages/store/src/mvcc/revision';

function mutantOf(name: string): Mutant {
  const mutant = MUTANTS.find((each) => each.name === name);
  if (mutant === undefined) throw new Error(`no mutant ${name}`);
  return mutant;
}

/** Nothing can tell it from the store. */
const EQUIVALENT: Mutant = {
  name: 'equivalent',
  rows: [],
  law: '',
  file: 'store/src/mvcc/revision.ts',
  find: "const TOMBSTONE_MARK = 't';",
  replace: 'const TOMBSTONE_MARK = `t`;',
  by: [REVISIONS],
  why: '',
};
/** Fails everywhere, but by a TypeError. */
const CRASH: Mutant = {
  ...EQUIVALENT,
  name: 'crash',
  find: '  return revision + TOMBSTONE_MARK;',
  replace: '  return undefined.revision + TOMBSTONE_MARK;',
};
/** Its catcher fails with and without it. */
const BLAMELESS: Mutant = { ...EQUIVALENT, name: 'blameless', by: ['packages/store/src/no-such-room'] };

async function run(mutants: readonly Mutant[]): Promise<{ rows: Row[]; lines: string[] }> {
  const lines: string[] = [];
  const rows = await runCampaign({
    mutants,
    seconds: 120,
    endMs: Infinity,
    jobs: 1,
    print: (line) => void lines.push(line),
    done: () => {},
  });
  return { rows, lines };
}

/** A minute of a machine that does little else; it may do a great deal else. */
const TIMEOUT_MS = 600_000;

test(
  'a law kills, an expectation kills; an equivalent mutant survives, a crash does not count',
  async () => {
    const { rows, lines } = await run([
      mutantOf('linearizable-is-taken-for-serializable'),
      mutantOf('revision-of-a-large-number-is-cut'),
      EQUIVALENT,
      CRASH,
      BLAMELESS,
    ]);
    expect(
      rows.map(({ mutant, outcomes }) => [mutant.name, ...outcomes.map((each) => each.verdict)]),
    ).toEqual([
      ['linearizable-is-taken-for-serializable', 'killed'],
      ['revision-of-a-large-number-is-cut', 'killed'],
      ['equivalent', 'survived'],
      ['crash', 'crashed'],
      ['blameless', 'crashed'],
    ]);
    expect(rows[0]?.outcomes[0]?.finding?.text).toMatch(/^[KW]\d+: /);
    expect(lines).toHaveLength(5);
    expect(tally(rows)[0]).toBe('2 of 5 killed, each by an assertion');
    expect(markdown(rows)).toMatch(
      /\| revision-of-a-large-number-is-cut +\| mvcc\/revision.ts \| 29 \| K3 \|/,
    );
    expect(markdown(rows)).toContain('| equivalent | mvcc/revision.ts |  |  | **survived** |');
  },
  TIMEOUT_MS,
);

test(
  'a mutant that fits nowhere ends the run',
  async () => {
    await expect(run([{ ...EQUIVALENT, find: 'nowhere' }])).rejects.toThrow(MutantError);
  },
  TIMEOUT_MS,
);
