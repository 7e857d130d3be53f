/**
 * What a check says: a verdict, counts, and the laws that were broken, each with what was expected, why, and what stood around it.
 * Violations are for people: the first of each law say more than the thousandth, so that only some are kept.
 */

/** The names of reliability's laws; README.md of this package says which function checks which. */
export type Law =
  | 'K1'
  | 'K2'
  | 'K3'
  | 'K4'
  | 'K5'
  | 'K6'
  | 'K7'
  | 'K8'
  | 'K9'
  | 'W1'
  | 'W2'
  | 'W3'
  | 'W4'
  | 'W5'
  | 'W6'
  | 'W7'
  | 'W8'
  | 'W9'
  | 'W10'
  | 'W11'
  | 'W12'
  | 'W13'
  | 'W14'
  | 'E1'
  | 'E2'
  | 'E3'
  | 'E4'
  | 'E5'
  | 'E7'
  | 'E8'
  | 'D1'
  | 'M2'
  | 'M3'
  | 'A2'
  | 'A3'
  | 'L1';

export interface Violation {
  readonly law: Law;
  /** Other laws the same fault breaks. */
  readonly also: readonly Law[];
  /** What was found, what was expected, and why. */
  readonly message: string;
  /** What happened around it, in order, a line each. */
  readonly around: readonly string[];
}

export interface Verdict {
  /** `unknown`: the search for an explanation was given up. It counts as a failure. */
  readonly kind: 'ok' | 'broken' | 'unknown';
  readonly violations: readonly Violation[];
  /** How often each law was broken, kept violations and others. */
  readonly broken: ReadonlyMap<Law, number>;
  /** What was checked, by name. */
  readonly counts: Readonly<Record<string, number>>;
  /** Why the verdict is unknown; what could not be checked. */
  readonly notes: readonly string[];
}

/** Kept of each law. */
const KEPT = 20;

/** Where all checks put what they find. */
export class Findings {
  readonly violations: Violation[] = [];
  readonly broken = new Map<Law, number>();
  readonly notes: string[] = [];
  readonly counts: Record<string, number> = {};

  /** @param around asked for only if the violation is kept */
  report(
    law: Law,
    message: string,
    around: () => readonly string[] = () => [],
    also: readonly Law[] = [],
  ): void {
    const before = this.broken.get(law) ?? 0;
    this.broken.set(law, before + 1);
    if (before < KEPT) this.violations.push({ law, also, message, around: around() });
  }

  count(name: string, by = 1): void {
    this.counts[name] = (this.counts[name] ?? 0) + by;
  }

  takeCounts(other: Findings): void {
    for (const [name, by] of Object.entries(other.counts)) this.count(name, by);
  }

  verdict(gaveUp: boolean): Verdict {
    const { violations, broken, counts, notes } = this;
    const kind = gaveUp ? 'unknown' : violations.length > 0 ? 'broken' : 'ok';
    return { kind, violations, broken, counts, notes };
  }
}

/** A verdict as text: its first line, then a paragraph for each violation. */
export function verdictText(verdict: Verdict, violationsMax = 10): string {
  const counts = Object.entries(verdict.counts).map(([name, count]) => `${count} ${name}`);
  const laws = [...verdict.broken].map(([law, count]) => `${law} × ${count}`);
  const lines = [
    `${verdict.kind}: ${counts.join(', ')}${laws.length === 0 ? '' : `; broken: ${laws.join(', ')}`}`,
  ];
  for (const note of verdict.notes) lines.push(`note: ${note}`);
  for (const { law, also, message, around } of verdict.violations.slice(0, violationsMax)) {
    lines.push('', `${[law, ...also].join(', ')}: ${message}`);
    for (const line of around) lines.push(`    ${line}`);
  }
  const more = verdict.violations.length - violationsMax;
  if (more > 0) lines.push('', `… and ${more} more`);
  return lines.join('\n');
}
