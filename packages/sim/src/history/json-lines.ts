/**
 * A history as text: one JSON object a line, the beginning first, the rest in any order. Fields are those of record.ts
 * and request.ts. It is read line by line, so that a history may be longer than a string can be.
 */
import type { Beginning, Fact, History, HistoryRecord, Operation, WatchRecord } from './record.ts';

/** One line, without its end. */
export function lineOf(record: HistoryRecord): string {
  return JSON.stringify(record);
}

/** All lines of a history, the beginning first. */
export function* linesOf(history: History): Generator<string> {
  yield lineOf(history.beginning);
  for (const operation of history.operations) yield lineOf(operation);
  for (const watch of history.watches) yield lineOf(watch);
  for (const fact of history.facts) yield lineOf(fact);
}

/** A line that is not one of a history. */
export class HistoryFormatError extends Error {
  /** From 1. */
  readonly line: number;

  constructor(line: number, what: string) {
    super(`line ${line}: ${what}`);
    this.line = line;
  }
}

const FACTS: ReadonlySet<string> = new Set([
  'crash',
  'start',
  'learns',
  'fault',
  'leader',
  'hash',
  'applied',
  'settled',
]);
const WATCHES: ReadonlySet<string> = new Set(['watch', 'watchResponse', 'watchCancel', 'streamEnd']);

/** Takes lines, gives the history. */
export class HistoryReader {
  private beginning: Beginning | undefined = undefined;
  private readonly operations: Operation[] = [];
  private readonly watches: WatchRecord[] = [];
  private readonly facts: Fact[] = [];
  private lines = 0;

  /** Empty lines are passed over. @throws HistoryFormatError */
  line(text: string): void {
    this.lines++;
    if (text.trim() === '') return;
    const record = parsed(text);
    if (!isRecord(record)) throw new HistoryFormatError(this.lines, 'not a record');
    this.record(record);
  }

  /** @throws HistoryFormatError when it is the last line and no beginning was read */
  finish(): History {
    const { beginning, operations, watches, facts } = this;
    if (beginning === undefined) throw new HistoryFormatError(this.lines, 'a history without its beginning');
    operations.sort((a, b) => a.id - b.id);
    watches.sort((a, b) => placeOf(a) - placeOf(b));
    facts.sort((a, b) => a.seq - b.seq);
    return { beginning, operations, watches, facts };
  }

  private record(record: HistoryRecord): void {
    if (record.type === 'operation') {
      this.require(Number.isInteger(record.id) && Number.isInteger(record.called), 'id and called');
      this.require(typeof record.request?.kind === 'string', 'request.kind');
      this.require(['ok', 'refused', 'unknown'].includes(record.outcome?.kind), 'outcome.kind');
      this.require(
        record.outcome.kind !== 'ok' || record.outcome.response?.kind === record.request.kind,
        'a response of the kind of its request',
      );
      this.require(
        Number.isInteger(record.returned) ||
          (record.outcome.kind === 'unknown' && record.returned === undefined),
        'the place where it returned',
      );
      this.operations.push(record);
    } else if (record.type === 'history') {
      this.require(record.format === 1, 'format 1');
      this.require(this.beginning === undefined, 'one beginning');
      this.beginning = record;
    } else if (isWatchRecord(record)) {
      this.watches.push(record);
    } else {
      this.require(FACTS.has(record.type), `a record of a known type, not ${JSON.stringify(record.type)};`);
      this.facts.push(record);
    }
  }

  private require(holds: boolean, what: string): void {
    if (!holds) throw new HistoryFormatError(this.lines, `needs ${what}`);
  }
}

/** A whole history from its text. @throws HistoryFormatError */
export function readHistory(text: string): History {
  const reader = new HistoryReader();
  for (const line of text.split('\n')) reader.line(line);
  return reader.finish();
}

function placeOf(record: WatchRecord): number {
  return record.type === 'watch' ? record.called : record.seq;
}

/** Undefined: not JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isRecord(value: unknown): value is HistoryRecord {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

function isWatchRecord(record: HistoryRecord): record is WatchRecord {
  return WATCHES.has(record.type);
}
