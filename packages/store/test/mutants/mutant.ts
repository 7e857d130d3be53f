/**
 * What a seeded bug of the store is: one exact piece of a source file and what stands there instead. It knows how to
 * put itself into a text and nothing of how it is found out; suites.ts and main.ts do that. Modelled on
 * packages/raft/test/mutants.
 */

/**
 * Who should find it: 'sim', the simulation of whole clusters, seeds from 1 on; 'images', crash images of whole members;
 * anything else is where tests stand, below the repository.
 */
export type Catcher = 'sim' | 'images' | `packages/${string}` | `tests/${string}`;

/**
 * Law: `find` occurs exactly once in `file`, and what `replace` makes of it still strips to JavaScript. A mutant which
 * no input tells apart from the store is a defect of this list.
 */
export interface Mutant {
  /** Says the bug, in kebab-case; unique. */
  readonly name: string;
  /** Rows 1 to 97 and 105 to 108 of the checklist of classic bugs that it stands for; none: only its law speaks of it. */
  readonly rows: readonly number[];
  /** The law that it breaks: R, K, W, E, D, M, N, A or L and a number. */
  readonly law: string;
  /** Below packages/. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** In the order in which they are asked. */
  readonly by: readonly Catcher[];
  /** What a user would see. */
  readonly why: string;
}

/** The list or the store has moved: a mutant does not fit its file any more. */
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
