/** What a run of transcripts comes to: a row for each command, a column for each version of kubectl. */
import type { StepResult } from './runner.ts';

interface Cell {
  right: number;
  odd: number;
}

/** Rows by command, columns by version. */
export class Table {
  private readonly rows = new Map<string, Map<string, Cell>>();

  add(version: string, results: readonly StepResult[]): void {
    for (const { step, odd } of results) {
      const command = commandOf(step.command);
      const row = this.rows.get(command) ?? new Map<string, Cell>();
      this.rows.set(command, row);
      const cell = row.get(version) ?? { right: 0, odd: 0 };
      row.set(version, cell);
      if (odd === undefined) cell.right += 1;
      else cell.odd += 1;
    }
  }

  text(versions: readonly string[]): string {
    const line = (name: string, cells: readonly string[]): string =>
      `${name.padEnd(28)}${cells.map((cell) => cell.padStart(8)).join('')}`;
    const rows = [...this.rows].toSorted(([a], [b]) => (a < b ? -1 : 1));
    return [
      line('command', versions),
      ...rows.map(([name, row]) =>
        line(
          name,
          versions.map((version) => {
            const cell = row.get(version);
            if (cell === undefined) return '-';
            return cell.odd === 0 ? String(cell.right) : `${cell.odd}/${cell.odd + cell.right}!`;
          }),
        ),
      ),
    ].join('\n');
  }
}

/** Commands that are told apart by their second word. */
const FAMILIES: ReadonlySet<string> = new Set(
  'create rollout set auth config certificate cluster-info top apply'.split(' '),
);
/** Flags whose value is a word of its own. */
const VALUED: ReadonlySet<string> = new Set(['-n', '-f', '-l', '-o', '-c', '-p', '-k', '-L']);

/** `rollout undo` of `KUBE_EDITOR=true kubectl rollout undo deploy/web`. */
export function commandOf(line: string): string {
  const program = /(?:^|[\s|;&])(kubectl|helm) (.*)$/.exec(line);
  if (program === null) return 'shell';
  const words = (program[2] ?? '').split(/\s+/);
  const plain: string[] = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    if (VALUED.has(word)) at += 1;
    else if (!word.startsWith('-')) plain.push(word);
  }
  const [first = '', second = ''] = plain;
  const name = FAMILIES.has(first) && /^[a-z-]+$/.test(second) ? `${first} ${second}` : first;
  return program[1] === 'helm' ? `helm ${first}` : name;
}
