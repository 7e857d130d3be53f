/**
 * What a failpoint is told to do, in gofail's words: actions joined by "->", each with an optional count ("3*")
 * or chance ("50.0%") before it: `panic`, `sleep(100)`, `2*sleep("10s")->50.0%return("x")`. Pure: the dice are an
 * argument.
 */
import { parseGoDuration } from '../config/go-values.ts';

export type Action =
  | { readonly kind: 'off' | 'print' | 'break' | 'return' }
  | { readonly kind: 'panic'; readonly message: string }
  | { readonly kind: 'sleep'; readonly ms: number };

interface Term {
  readonly action: Action;
  /** Times it may still act. */
  left: number;
  /** 0 to 1. */
  readonly chance: number;
}

const OFF: Action = { kind: 'off' };
const TERM = /^(?:(\d+)\*)?(?:(\d+(?:\.\d+)?)%)?(off|print|break|return|panic|sleep)(?:\((.*)\))?$/s;

export class Terms {
  readonly text: string;
  private readonly terms: readonly Term[];

  private constructor(text: string, terms: readonly Term[]) {
    this.text = text;
    this.terms = terms;
  }

  /** @returns undefined for what cannot be read */
  static parse(text: string): Terms | undefined {
    const terms: Term[] = [];
    for (const part of text.trim().split('->')) {
      const match = TERM.exec(part.trim());
      if (match === null) return undefined;
      const [, count, percent, kind = '', argument = ''] = match;
      const action = actionOf(kind, argument);
      if (action === undefined) return undefined;
      terms.push({
        action,
        left: count === undefined ? Infinity : Number(count),
        chance: percent === undefined ? 1 : Number(percent) / 100,
      });
    }
    return new Terms(text.trim(), terms);
  }

  /** The first term that still acts, and acts this time. @param uniform a number from 0 to 1, 1 excluded */
  next(uniform: () => number): Action {
    for (const term of this.terms) {
      if (term.left === 0) continue;
      if (term.chance < 1 && uniform() >= term.chance) continue;
      term.left--;
      return term.action;
    }
    return OFF;
  }
}

function actionOf(kind: string, argument: string): Action | undefined {
  const quoted = /^"(.*)"$/s.exec(argument);
  switch (kind) {
    case 'panic':
      return { kind, message: quoted?.[1] ?? argument };
    case 'sleep': {
      if (quoted === null) return /^\d+$/.test(argument) ? { kind, ms: Number(argument) } : undefined;
      const duration = parseGoDuration(quoted[1]);
      return duration.ok ? { kind, ms: duration.value } : undefined;
    }
    case 'off':
    case 'print':
    case 'break':
    case 'return':
      return { kind };
    default:
      return undefined;
  }
}
