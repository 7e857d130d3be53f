/** Reads what a member adds to its log: for the line that says it is ready, and for the last words of one that died. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { parseObject } from '../plain.ts';

const READ_BYTES = 64 * 1024;

/** Text appended to a file since the last look, line by line. */
export class LogTail {
  private readonly file: string;
  private offset: number;
  private rest = '';

  /** @param offset bytes that were there before */
  constructor(file: string, offset: number) {
    this.file = file;
    this.offset = offset;
  }

  /** Whole lines since the last call. */
  lines(): string[] {
    const descriptor = openSync(this.file, 'r');
    try {
      const buffer = Buffer.allocUnsafe(READ_BYTES);
      for (;;) {
        const count = readSync(descriptor, buffer, 0, READ_BYTES, this.offset);
        if (count === 0) break;
        this.offset += count;
        this.rest += buffer.toString('utf8', 0, count);
      }
    } finally {
      closeSync(descriptor);
    }
    const lines = this.rest.split('\n');
    this.rest = lines.pop() ?? '';
    return lines;
  }
}

/** How much of a log's end is searched for the reason. */
const LAST_BYTES = 256 * 1024;

/** What a log says at its end. */
export interface LastWords {
  /** The last line of level fatal, panic or error, as "message: error"; an API server's also when it has no level. */
  readonly grave: string | undefined;
  /** The last line of all. */
  readonly last: string | undefined;
}

/** What was written since `offset`. */
export function lastWords(file: string, offset: number): LastWords {
  const descriptor = openSync(file, 'r');
  let size: number;
  try {
    size = fstatSync(descriptor).size;
  } finally {
    closeSync(descriptor);
  }
  const tail = new LogTail(file, Math.max(offset, size - LAST_BYTES));
  const lines = tail.lines().filter((line) => line.trim() !== '');
  const grave = lines.findLast((line) => GRAVE.test(line));
  return { grave: grave === undefined ? undefined : said(grave), last: lines.at(-1) };
}

/** In zap's form, in klog's, and what a command says before it has a log. */
const GRAVE = /"level":"(?:fatal|panic|error)"|^[EF]\d{4} |^Error: /;

/** A log line as people say it. */
function said(line: string): string {
  const klog = /^[EF]\d{4} [^\]]*\] ("(?:[^"\\]|\\.)*")(?:.* err=("(?:[^"\\]|\\.)*"))?/.exec(line);
  if (klog !== null) return [klog[1], klog[2]].flatMap((text) => textOf(text)).join(': ');
  if (line.startsWith('Error: ')) return line.slice('Error: '.length);
  const { msg, error } = parseObject(line) ?? {};
  if (typeof msg !== 'string') return line;
  return typeof error === 'string' ? `${msg}: ${error}` : msg;
}

/** What a quoted text says; nothing without one. */
function textOf(quoted: string | undefined): string[] {
  if (quoted === undefined) return [];
  const text: unknown = JSON.parse(quoted);
  return typeof text === 'string' ? [text] : [];
}
