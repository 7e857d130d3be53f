/**
 * The text format of data-driven conversations: directives, optional input, `----`, exact output. Knows
 * nothing of raft. The format is cockroachdb/datadriven's.
 */

export interface Argument {
  readonly key: string;
  /** Empty for a bare key; one element for key=value; several for key=(a, b). */
  readonly values: readonly string[];
}

export interface Directive {
  readonly line: number;
  readonly command: string;
  readonly args: readonly Argument[];
  readonly input: string;
  /** Undefined when the file ends before `----`. */
  readonly expected: string | undefined;
}

export interface Mismatch {
  readonly line: number;
  readonly command: string;
  readonly expected: string;
  readonly actual: string;
}

const SEPARATOR = '----';

/** All directives of a file, in order. */
export function parseDirectives(text: string): Directive[] {
  const lines = text.split('\n');
  const directives: Directive[] = [];
  let at = 0;
  while (at < lines.length) {
    const start = at;
    let line = (lines[at++] ?? '').trim();
    if (line === '' || line.startsWith('#')) continue;
    while (line.endsWith('\\') && at < lines.length)
      line = `${line.slice(0, -1)} ${(lines[at++] ?? '').trim()}`;
    const { command, args } = parseCommand(line);
    if (command === 'subtest') continue;

    const input: string[] = [];
    let separated = false;
    while (at < lines.length && !separated) {
      const next = lines[at++] ?? '';
      if (next === SEPARATOR) separated = true;
      else input.push(next);
    }
    let expected: string | undefined;
    if (separated) {
      const block = readExpected(lines, at);
      expected = block.text;
      at = block.next;
    }
    directives.push({ line: start + 1, command, args, input: input.join('\n').trim(), expected });
  }
  return directives;
}

function readExpected(
  lines: readonly string[],
  start: number,
): { readonly text: string; readonly next: number } {
  let at = start;
  let text = '';
  if (lines[at] === SEPARATOR) {
    at++;
    while (at < lines.length && !(lines[at] === SEPARATOR && lines[at + 1] === SEPARATOR))
      text += `${lines[at++]}\n`;
    return { text, next: at + 2 };
  }
  while (at < lines.length && (lines[at] ?? '').trim() !== '') text += `${lines[at++]}\n`;
  return { text, next: at };
}

function parseCommand(line: string): { readonly command: string; readonly args: readonly Argument[] } {
  let at = line.indexOf(' ');
  if (at < 0) return { command: line, args: [] };
  const command = line.slice(0, at);
  const args: Argument[] = [];
  for (;;) {
    while (line[at] === ' ') at++;
    if (at >= line.length) return { command, args };
    const begin = at;
    while (at < line.length && line[at] !== ' ' && line[at] !== '=') at++;
    const key = line.slice(begin, at);
    if (line[at] !== '=') {
      args.push({ key, values: [] });
      continue;
    }
    at++;
    if (line[at] === '(') {
      const list = parseList(line, at + 1);
      args.push({ key, values: list.values });
      at = list.next;
    } else {
      const from = at;
      while (at < line.length && line[at] !== ' ') at++;
      args.push({ key, values: [line.slice(from, at)] });
    }
  }
}

/** Values up to the closing parenthesis, split at top-level commas. */
function parseList(
  line: string,
  start: number,
): { readonly values: readonly string[]; readonly next: number } {
  const values: string[] = [];
  let depth = 0;
  let value = '';
  let at = start;
  for (; at < line.length; at++) {
    const char = line[at] ?? '';
    if (char === ')' && depth === 0) break;
    if (char === '(') depth++;
    if (char === ')') depth--;
    if (char === ',' && depth === 0) {
      values.push(value);
      value = '';
      while (line[at + 1] === ' ') at++;
    } else {
      value += char;
    }
  }
  if (value !== '' || values.length > 0) values.push(value);
  return { values, next: at + 1 };
}

/** Runs every directive through one handler; what differs from the file, in order. */
export function runDirectives(text: string, handle: (directive: Directive) => string): Mismatch[] {
  const mismatches: Mismatch[] = [];
  for (const directive of parseDirectives(text)) {
    let actual = handle(directive);
    if (actual !== '' && !actual.endsWith('\n')) actual += '\n';
    const expected = directive.expected ?? '';
    if (actual !== expected)
      mismatches.push({ line: directive.line, command: directive.command, expected, actual });
  }
  return mismatches;
}

/**
 * The file with every expected block replaced by what the handler says now; comments and inputs stay.
 * For writing conversations; a file that fails is explained first, rewritten after.
 */
export function rewriteDirectives(text: string, handle: (directive: Directive) => string): string {
  const lines = text.split('\n');
  const directives = parseDirectives(text);
  let out = '';
  let at = 0;
  for (const directive of directives) {
    while (lines[at] !== SEPARATOR || at < directive.line) out += `${lines[at++]}\n`;
    const block = readExpected(lines, at + 1);
    const actual = handle(directive);
    out += `${SEPARATOR}\n${actual === '' || actual.endsWith('\n') ? actual : `${actual}\n`}`;
    at = block.next;
  }
  return out + lines.slice(at).join('\n');
}
