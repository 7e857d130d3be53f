/**
 * Transcripts: what is typed and what a Kubernetes 1.36 answers, as text files that read like a terminal. Parses them and
 * compares an answer with the one that is written; runs nothing.
 *
 *     // A remark.
 *     === cm.yaml             a file of the run's folder, up to the next line of ===
 *     apiVersion: v1
 *     ===
 *     $ kubectl get cm a      a shell command
 *     NAME  DATA  AGE         its output; two spaces stand for two or more, `@age` and its like for what differs
 *     a  1  @age
 *     ! Warning: text         a line of standard error
 *     [exit 1]                its exit code, where that is not 0
 *     [1.34+] text            a line that kubectl says since 1.34; [-1.33] until 1.33; [1.28-1.33] in between
 *     ...                     any lines
 *     $~ command              asked again until it answers so
 *     $& command              goes on beside the next ones, until
 *     $? text                 it has said that by now, and
 *     $.                      its output is as written here; then it is ended
 *     $[1.28+] command        only for these versions of kubectl
 *
 * NS stands for the namespace of the run.
 */

export interface Line {
  readonly text: string;
  readonly versions: Versions;
}

/** Minor versions of kubectl, both included. */
export interface Versions {
  readonly from: number;
  readonly to: number;
}

export type StepKind = 'run' | 'eventually' | 'begin' | 'said' | 'end';

export interface Step {
  readonly kind: StepKind;
  readonly versions: Versions;
  readonly command: string;
  /** Where it stands, from 1. */
  readonly line: number;
  readonly lines: readonly Line[];
}

export interface Transcript {
  readonly files: ReadonlyMap<string, string>;
  readonly steps: readonly Step[];
}

export interface Answer {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const ALL: Versions = { from: 0, to: Infinity };
const COMMAND = /^\$([~&?.]?)(?:\[([^\]]+)\])? ?(.*)$/;
const CONDITION = /^\[(\d+\.\d+\+|-\d+\.\d+|\d+\.\d+-\d+\.\d+)\] ?/;
const KINDS: Readonly<Record<string, StepKind>> = {
  '': 'run',
  '~': 'eventually',
  '&': 'begin',
  '?': 'said',
  '.': 'end',
};

/** @throws Error naming the line that cannot be read */
export function parseTranscript(text: string): Transcript {
  const files = new Map<string, string>();
  const steps: { step: Omit<Step, 'lines'>; lines: Line[] }[] = [];
  const lines = text.split('\n');
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? '';
    if (line.startsWith('//')) continue;
    const file = /^=== (\S+)$/.exec(line)?.[1];
    if (file !== undefined) {
      const end = lines.indexOf('===', at + 1);
      if (end < 0) throw new Error(`line ${at + 1}: the file ${file} has no end`);
      files.set(file, `${lines.slice(at + 1, end).join('\n')}\n`);
      at = end;
      continue;
    }
    const command = COMMAND.exec(line);
    if (command !== null) {
      const [, mark = '', versions, words = ''] = command;
      const kind = KINDS[mark] ?? 'run';
      const step = { kind, versions: versionsOf(versions), command: words, line: at + 1 };
      steps.push({ step, lines: [] });
      continue;
    }
    const last = steps.at(-1);
    if (last === undefined) {
      if (line === '') continue;
      throw new Error(`line ${at + 1}: output without a command`);
    }
    const condition = CONDITION.exec(line);
    last.lines.push({
      text: condition === null ? line : line.slice(condition[0].length),
      versions: versionsOf(condition?.[1]),
    });
  }
  return { files, steps: steps.map(({ step, lines: own }) => ({ ...step, lines: withoutLastBlanks(own) })) };
}

function versionsOf(condition: string | undefined): Versions {
  if (condition === undefined) return ALL;
  const [first = 0, last = first] = [...condition.matchAll(/\.(\d+)/g)].map(([, minor]) => Number(minor));
  if (condition.endsWith('+')) return { from: first, to: Infinity };
  return { from: condition.startsWith('-') ? 0 : first, to: last };
}

function withoutLastBlanks(lines: readonly Line[]): Line[] {
  const last = lines.findLastIndex(({ text }) => text.trim() !== '');
  return lines.slice(0, last + 1);
}

export function holdsFor({ from, to }: Versions, minor: number): boolean {
  return minor >= from && minor <= to;
}

/** An answer as a transcript writes it. */
export function written({ code, out, err }: Answer): string[] {
  const lines = [
    ...linesOf(out),
    ...linesOf(err).map((line) => `! ${line}`),
    ...(code === 0 ? [] : [`[exit ${code}]`]),
  ].map(evenly);
  while (lines.at(-1) === '') lines.pop();
  return lines;
}

function linesOf(text: string): string[] {
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

/** Columns are as wide as the names of the day: what is left of two or more spaces is two. */
function evenly(line: string): string {
  return line.replaceAll(/(?<=\S) {2,}/g, '  ').trimEnd();
}

const WORDS: Readonly<Record<string, string>> = {
  age: '(?:<invalid>|\\d+(?:ms|s|m|h|d)(?:\\d+[smhd])?)',
  ip: '(?:\\d+\\.){3}\\d+',
  uid: '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}',
  time: '(?:\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z|[A-Z][a-z]{2}, \\d\\d [A-Z][a-z]{2} \\d{4} [\\d:]+ [+-]\\d{4})',
  port: '\\d{4,5}',
  n: '\\d+',
  rand: '[a-z0-9]+',
  any: '.*',
};
const WORD = new RegExp(`@(${Object.keys(WORDS).join('|')})\\b`, 'g');

/** Whether the lines are what the step expects of this version. */
export function matches(step: Step, minor: number, namespace: string, lines: readonly string[]): boolean {
  const wanted = expected(step, minor, namespace);
  return new RegExp(`^${wanted.map(patternOf).join('')}$`).test(lines.map((line) => `${line}\n`).join(''));
}

/** What the step expects of this version. */
export function expected(step: Step, minor: number, namespace: string): string[] {
  return step.lines
    .filter(({ versions }) => holdsFor(versions, minor))
    .map(({ text }) => evenly(named(text, namespace)));
}

function literally(text: string): string {
  return text.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`);
}

function patternOf(line: string): string {
  if (line === '...') return '(?:.*\\n)*';
  let pattern = '';
  let from = 0;
  for (const word of line.matchAll(WORD)) {
    pattern += literally(line.slice(from, word.index)) + (WORDS[word[1] ?? ''] ?? '');
    from = word.index + word[0].length;
  }
  return `${pattern}${literally(line.slice(from))}\\n`;
}

/** The text with the namespace of the run in it. */
export function named(text: string, namespace: string): string {
  return text.replaceAll(/\bNS\b/g, namespace);
}
