/**
 * Where a text stands in another, in time that grows with their lengths' sum. The engine's own search is the quicker one
 * for what texts look like, but takes the lengths' product where both repeat themselves, which costs do not count.
 *
 * The long way is Knuth, Morris and Pratt's.
 */

/** Lengths' product: up to here the engine's own search takes a millisecond at worst. */
const QUICK_STEPS_MAX = 1_000_000;

function isQuick(text: string, part: string): boolean {
  return text.length * part.length <= QUICK_STEPS_MAX;
}

/** Where `part` stands first at or behind `from`; −1 for nowhere. In code units. */
export function indexIn(text: string, part: string, from = 0): number {
  if (isQuick(text, part)) return text.indexOf(part, from);
  return new Pattern(part, false).find(text, Math.max(0, from));
}

/** Where `part` stands last, beginning at or before `from`; −1 for nowhere. In code units. */
export function lastIndexIn(text: string, part: string, from: number): number {
  if (isQuick(text, part)) return text.lastIndexOf(part, from);
  const end = Math.min(text.length, from + part.length);
  const found = new Pattern(part, true).find(text, text.length - end);
  return found < 0 ? -1 : text.length - found - part.length;
}

/** What stands between the places of a separator that is not empty. */
export function splitBy(text: string, separator: string): string[] {
  if (isQuick(text, separator)) return text.split(separator);
  const pattern = new Pattern(separator, false);
  const parts: string[] = [];
  let start = 0;
  for (let at = pattern.find(text, 0); at >= 0; at = pattern.find(text, start)) {
    parts.push(text.slice(start, at));
    start = at + separator.length;
  }
  parts.push(text.slice(start));
  return parts;
}

class Pattern {
  private readonly part: string;
  private readonly backwards: boolean;
  /** How much of the beginning stands again where so much of it ends. */
  private readonly borders: Int32Array;

  /** @param backwards texts are read from their ends */
  constructor(part: string, backwards: boolean) {
    this.part = part;
    this.backwards = backwards;
    this.borders = new Int32Array(part.length);
    let border = 0;
    for (let at = 1; at < part.length; at += 1) {
      while (border > 0 && this.unit(part, at) !== this.unit(part, border)) border = this.borders[border - 1];
      if (this.unit(part, at) === this.unit(part, border)) border += 1;
      this.borders[at] = border;
    }
  }

  /** In the direction it reads. */
  find(text: string, from: number): number {
    const { part, borders } = this;
    let matched = 0;
    for (let at = from; at < text.length; at += 1) {
      const unit = this.unit(text, at);
      while (matched > 0 && unit !== this.unit(part, matched)) matched = borders[matched - 1];
      if (unit === this.unit(part, matched)) matched += 1;
      if (matched === part.length) return at - matched + 1;
    }
    return -1;
  }

  private unit(text: string, at: number): number {
    return text.charCodeAt(this.backwards ? text.length - 1 - at : at);
  }
}
