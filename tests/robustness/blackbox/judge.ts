/**
 * What a round's history is held against: the checker's laws. A round that did not come to its end is judged as well; it has no
 * `settled`, so that what must be there in the end is not asked of it.
 */
import { checkHistory, type History } from '@keelson/sim';

const SHOWN = 30;

/** A paragraph for each broken law, its name first. An unknown verdict is one of them. */
export function judgeHistory(history: History): string[] {
  const verdict = checkHistory(history);
  if (verdict.kind === 'ok') return [];
  const lines = verdict.violations.slice(0, SHOWN).map(({ law, also, message, around }) => {
    const laws = [law, ...also].join(', ');
    return [`${laws}: ${message}`, ...around.map((line) => `      ${line}`)].join('\n');
  });
  const more = [...verdict.broken].map(([law, count]) => `${law} × ${count}`).join(', ');
  if (verdict.violations.length > SHOWN) lines.push(`in all: ${more}`);
  if (verdict.kind === 'unknown') lines.push(`the verdict is unknown: ${verdict.notes.join('; ')}`);
  return lines;
}
