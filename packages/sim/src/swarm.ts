/**
 * Swarm testing (Groce et al., ISSTA 2012): each seed enables a random subset of the fault kinds, since with
 * all of them at once some hide others. Also the choice of a constant, at its edges more often than not.
 */
import { assert, type Prng } from '@keelson/base';

/**
 * Half of `kinds`, at least `least` of them.
 *
 * @param without kinds taken away after the choice, so that leaving one out changes nothing else
 */
export function swarm<Kind>(
  prng: Prng,
  kinds: readonly Kind[],
  least: number,
  without: readonly Kind[] = [],
): Set<Kind> {
  assert(least <= kinds.length, () => `${least} of ${kinds.length} kinds`);
  const chosen = new Set(kinds.filter(() => prng.chance(1, 2)));
  while (chosen.size < least) chosen.add(prng.pick(kinds));
  for (const kind of without) chosen.delete(kind);
  return chosen;
}

/** A whole number in [low, high]: one of the two ends in half of all seeds. */
export function edgy(prng: Prng, low: number, high: number): number {
  const inside = prng.between(low, high);
  const dice = prng.below(4);
  return dice === 0 ? low : dice === 1 ? high : inside;
}
