/**
 * Which queues a flow may use: a hand of cards dealt from all queues, the same hand for the same flow. Two flows seldom
 * share a whole hand, so one that floods its queues leaves another at least one of its own.
 *
 * Modelled on apiserver's util/shufflesharding; a flow is hashed as there, so that dumps of both compare.
 */

import { createHash } from 'node:crypto';

/** @returns 64 bits */
export function flowHash(schema: string, distinguisher: string): bigint {
  return createHash('sha256').update(`${schema}\0${distinguisher}`).digest().readBigUInt64LE(0);
}

/** @returns `hand` different numbers below `deck`, in the order they were dealt */
export function dealHand(hash: bigint, deck: number, hand: number): number[] {
  const cards: number[] = [];
  const remainders: number[] = [];
  let rest = hash;
  for (let index = 0; index < hand; index += 1) {
    const size = BigInt(deck - index);
    const remainder = Number(rest % size);
    rest /= size;
    let card = remainder;
    for (let before = index - 1; before >= 0; before -= 1) {
      if (card >= remainders[before]) card += 1;
    }
    remainders.push(remainder);
    cards.push(card);
  }
  return cards;
}
