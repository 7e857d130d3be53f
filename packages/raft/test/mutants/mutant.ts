/**
 * What a seeded bug is: one exact piece of a source file and what stands there instead. It knows how to put
 * itself into a text and nothing of how it is found out; suites.ts and main.ts do that.
 */

/** The suites of the core, cheapest first. */
export const SUITES = ['datadriven', 'unit', 'model', 'sim'] as const;
export type SuiteName = (typeof SUITES)[number];

/** Every suite: the default, since a mutant that should be unreachable for one of them may surprise us. */
export const ALL: readonly SuiteName[] = SUITES;
/** Two numbers of the core that only its arithmetic tests can set; no cluster ever has such ids or terms. */
export const ARITHMETIC: readonly SuiteName[] = ['datadriven', 'unit'];

/**
 * Law: `find` occurs exactly once in `file`, and what `replace` makes of it still strips to JavaScript. A
 * mutant which no input tells apart from the core is a defect of this list.
 */
export interface Mutant {
  /** Says the bug, in kebab-case; unique. */
  readonly name: string;
  /** Rows 1 to 30 of the checklist of classic bugs that it stands for; none when only a law is broken. */
  readonly rows: readonly number[];
  /** The law of consensus (R1 to R11) or of liveness (L) that it breaks. */
  readonly law: string;
  /** Below packages/raft/src. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  readonly suites: readonly SuiteName[];
}

/** The list or the core has moved: a mutant does not fit its file any more. */
export class MutantError extends Error {
  override readonly name = 'MutantError';
}

/** @throws MutantError unless the piece occurs exactly once */
export function mutate(source: string, mutant: Mutant): string {
  const places = source.split(mutant.find).length - 1;
  if (places !== 1) {
    throw new MutantError(`${mutant.name}: its piece of ${mutant.file} occurs ${places} times, not once`);
  }
  return source.replace(mutant.find, () => mutant.replace);
}
