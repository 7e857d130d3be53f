/**
 * R2 and R3: a leader only ever adds to its log, and (term, index) names one entry with one past, everywhere
 * and for ever. Each entry's predecessor is part of what is compared, so that equal ends mean equal logs by
 * induction. A log is looked at from its end back to what was seen before: new entries only.
 */
import { law } from '@keelson/sim';
import { type Entry, Role } from '../../src/index.ts';
import type { Observed } from './surroundings.ts';

interface Tail {
  /** Terms by index, as last looked at. */
  readonly terms: Map<number, number>;
  last: number;
}

interface Known {
  readonly entry: Entry;
  readonly previous: number;
}

export class LogLaws {
  private readonly entries = new Map<number, Map<number, Known>>();
  private readonly tails = new Map<bigint, Tail>();
  private readonly fresh: (node: Observed, entry: Entry) => void;

  /** @param fresh called for each entry the first time it is seen anywhere */
  constructor(fresh: (node: Observed, entry: Entry) => void) {
    this.fresh = fresh;
  }

  born(node: Observed): void {
    this.tails.set(node.id, { terms: new Map(), last: 0 });
  }

  /**
   * @param leads it has led this term since it was last looked at
   * @returns whether entries were taken away
   */
  look(node: Observed, leads: boolean): boolean {
    const { log, role } = node.core;
    const tail = this.tails.get(node.id);
    if (tail === undefined) return false;
    const last = log.lastIndex();
    law('R2', !leads || last >= tail.last, () => `leader ${node.id} shortened its log`);
    const shortened = last < tail.last;
    for (let index = last + 1; index <= tail.last; index++) tail.terms.delete(index);
    let replaced = false;
    const first = log.firstIndex();
    for (let index = last; index >= first; index--) {
      const term = log.termOrZero(index);
      const before = tail.terms.get(index);
      if (before === term) break;
      law('R2', !leads || index > tail.last, () => `leader ${node.id} overwrote entry ${index}`);
      replaced ||= before !== undefined;
      const found = log.slice(index, index + 1, Infinity);
      const entry = Array.isArray(found) ? found[0] : undefined;
      law(
        'R3',
        entry !== undefined && entry.index === index && entry.term === term,
        () => `${node.id} has ${entry?.term}/${entry?.index} at ${term}/${index}`,
      );
      if (entry !== undefined) this.compare(node, entry, log.termOrZero(index - 1), role === Role.Leader);
      tail.terms.set(index, term);
    }
    tail.last = last;
    return shortened || replaced;
  }

  private compare(node: Observed, entry: Entry, previous: number, atLeader: boolean): void {
    let ofTerm = this.entries.get(entry.term);
    if (ofTerm === undefined) {
      ofTerm = new Map();
      this.entries.set(entry.term, ofTerm);
    }
    const known = ofTerm.get(entry.index);
    if (known === undefined) {
      ofTerm.set(entry.index, { entry, previous });
      if (atLeader) this.fresh(node, entry);
      return;
    }
    const same =
      known.previous === previous &&
      (known.entry === entry || (known.entry.type === entry.type && known.entry.data.equals(entry.data)));
    law('R3', same, () => `entry ${entry.term}/${entry.index} differs at ${node.id}`);
  }
}
