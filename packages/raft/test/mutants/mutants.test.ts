/** The list fits the core as it is: every mutant applies once and is still a program. */
import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { MUTANTS } from './list.ts';
import { mutate } from './mutant.ts';

const SOURCES = path.join(import.meta.dirname, '../../src');

describe('the list of seeded bugs', () => {
  test.each(MUTANTS.map((mutant) => [mutant.name, mutant] as const))('%s fits its file', (_name, mutant) => {
    const source = readFileSync(path.join(SOURCES, mutant.file), 'utf8');
    const mutated = mutate(source, mutant);
    expect(mutated).not.toBe(source);
    expect(stripTypeScriptTypes(mutated).length).toBeGreaterThan(0);
  });

  test('no name is used twice', () => {
    expect(new Set(MUTANTS.map((each) => each.name)).size).toBe(MUTANTS.length);
  });

  test('every row that the core can have is covered', () => {
    const covered = new Set(MUTANTS.flatMap((each) => each.rows));
    const missing = Array.from({ length: 30 }, (_, i) => i + 1).filter((row) => !covered.has(row));
    expect(missing).toEqual([19]);
  });
});
