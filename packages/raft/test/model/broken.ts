/** How the model says that a law does not hold. It knows no law itself. */

export class LawBroken extends Error {
  override readonly name = 'LawBroken';
}

/** @param id the law's name in the tables: R1 to R10 */
export function law(id: string, holds: boolean, text: () => string): asserts holds {
  if (!holds) throw new LawBroken(`${id}: ${text()}`);
}
