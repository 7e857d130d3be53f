/** The list fits the store as it is: every mutant applies once and is still a program. */
import { existsSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { MUTANTS } from './list.ts';
import { mutate } from './mutant.ts';

const PACKAGES = path.join(import.meta.dirname, '../../..');

/** Seeded in packages/raft/test/mutants, or of a kind that no test of ours asserts (list.ts). */
const ELSEWHERE = [4, 5, 6, 7, 9, 10, 18, 20, 21, 22, 23, 24, 25, 26, 89, 107];

describe('the list of seeded bugs', () => {
  test.each(MUTANTS.map((mutant) => [mutant.name, mutant] as const))('%s fits its file', (_name, mutant) => {
    const source = readFileSync(path.join(PACKAGES, mutant.file), 'utf8');
    const mutated = mutate(source, mutant);
    expect(mutated).not.toBe(source);
    expect(stripTypeScriptTypes(mutated).length).toBeGreaterThan(0);
  });

  test('no name is used twice, and nobody is asked who is not there', () => {
    expect(new Set(MUTANTS.map((each) => each.name)).size).toBe(MUTANTS.length);
    const missing = MUTANTS.flatMap(({ by }) => by)
      .filter((each) => each !== 'sim' && each !== 'images')
      .filter((each) => {
        const file = path.join(PACKAGES, '..', each);
        return ![file, `${file}.ts`, `${file}.test.ts`].some((one) => existsSync(one));
      });
    expect(missing).toEqual([]);
  });

  test('every row that the store can have is covered', () => {
    const covered = new Set(MUTANTS.flatMap((each) => each.rows));
    const rows = [...Array.from({ length: 97 }, (_, i) => i + 1), 105, 106, 107, 108];
    expect(rows.filter((row) => !covered.has(row))).toEqual(ELSEWHERE);
  });
});
