/**
 * The text of an expression and what is wrong with it: places by line and column, and the texts people see
 * (`ERROR: <input>:1:5: …` with the line and a caret under it). Places are counted in code points.
 *
 * Modelled on CEL-go's common.Source and common.Errors, whose texts clients and tests compare.
 */

/** Something that is wrong with an expression. `offset` is in code points; −1 where no place is meant. */
export interface CelIssue {
  readonly offset: number;
  readonly message: string;
}

/** Issues beyond this many are counted, not shown. */
const ISSUES_SHOWN_MAX = 100;

export class Source {
  readonly text: string;
  readonly points: readonly string[];
  private readonly lineStarts: readonly number[];
  readonly name: string;

  constructor(text: string, name = '<input>') {
    this.text = text;
    this.name = name;
    this.points = Array.from(text);
    const starts = [0];
    for (let i = 0; i < this.points.length; i++) if (this.points[i] === '\n') starts.push(i + 1);
    this.lineStarts = starts;
  }

  /** Line from 1, column from 0. */
  place(offset: number): { readonly line: number; readonly column: number } {
    if (offset < 0) return { line: -1, column: -1 };
    let line = 1;
    while (line < this.lineStarts.length && this.lineStarts[line] <= offset) line++;
    return { line, column: offset - this.lineStarts[line - 1] };
  }

  private lineText(line: number): readonly string[] {
    const end = line < this.lineStarts.length ? this.lineStarts[line] - 1 : this.points.length;
    return this.points.slice(this.lineStarts[line - 1], end);
  }

  /** One issue as CEL-go writes it. */
  show(issue: CelIssue): string {
    const { line, column } = this.place(issue.offset);
    let text = `ERROR: ${this.name}:${line}:${column + 1}: ${issue.message}`;
    if (line < 1) return text;
    const points = this.lineText(line);
    text += `\n | ${points.join('').replaceAll('\t', ' ')}\n | `;
    for (let i = 0; i < column && i < points.length; i++) text += isWide(points[i]) ? '．' : '.';
    return text + (isWide(points[column]) ? '＾' : '^');
  }

  /** All issues by place, one under the other. */
  showAll(issues: readonly CelIssue[]): string {
    const sorted = issues.toSorted((a, b) => a.offset - b.offset);
    const texts = sorted.slice(0, ISSUES_SHOWN_MAX).map((issue) => this.show(issue));
    if (sorted.length > ISSUES_SHOWN_MAX) {
      texts.push(`${sorted.length - ISSUES_SHOWN_MAX} more errors were truncated`);
    }
    return texts.join('\n');
  }
}

/** A point of more than one byte in UTF-8 gets a wide dot, as the original does. */
function isWide(point: string | undefined): boolean {
  return point !== undefined && point.charCodeAt(0) > 0x7f;
}
