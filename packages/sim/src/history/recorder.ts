/**
 * Writes a history down as it happens. One recorder for all clients of a run, in one process: its count of events is what
 * "before" means. It keeps everything in memory, or hands each finished record to a sink and forgets it.
 */
import { assert } from '@keelson/base';
import { failureOutcome } from './outcome.ts';
import type {
  Beginning,
  Fact,
  History,
  HistoryRecord,
  Operation,
  Outcome,
  Watch,
  WatchRecord,
  WatchResponse,
} from './record.ts';
import type { Request, Response } from './request.ts';

export interface RecorderOptions {
  /** Of a monotonic clock, ms; fractions are welcome. */
  readonly nowMs: () => number;
  /** Everything but type and format. */
  readonly beginning?: Omit<Beginning, 'type' | 'format'>;
  /** Takes each record when it is complete; then `history()` is empty. */
  readonly sink?: (record: HistoryRecord) => void;
}

/** Who asks, whom, and as whom. */
export interface Asker {
  readonly client: number;
  readonly member?: string;
  readonly user?: string;
}

type Unplaced<T> = T extends unknown ? Omit<T, 'seq' | 'ms'> : never;

/** An operation under way. Exactly one of its methods is called, once. */
export class PendingOperation {
  readonly id: number;
  private readonly finish: (outcome: Outcome, answered: boolean) => void;

  constructor(id: number, finish: (outcome: Outcome, answered: boolean) => void) {
    this.id = id;
    this.finish = finish;
  }

  ok(response: Response): void {
    this.finish({ kind: 'ok', response }, true);
  }

  /** Whether it certainly did nothing follows from code and text. @param code as 'Unavailable' */
  failed(code: string, text: string, unsent = false): void {
    this.finish(failureOutcome(code, text, unsent), true);
  }
}

export class HistoryRecorder {
  private readonly options: RecorderOptions;
  private readonly beginning: Beginning;
  private readonly operations: Operation[] = [];
  private readonly watches: WatchRecord[] = [];
  private readonly facts: Fact[] = [];
  private readonly pending = new Map<number, (outcome: Outcome, answered: boolean) => void>();
  private places = 0;
  private operationCount = 0;
  private watchCount = 0;
  private streamCount = 0;

  constructor(options: RecorderOptions) {
    this.options = options;
    this.beginning = { type: 'history', format: 1, ...options.beginning };
    options.sink?.(this.beginning);
  }

  /** Just before the request is sent. */
  call(asker: Asker, request: Request): PendingOperation {
    const id = this.operationCount++;
    const called = this.places++;
    const callMs = this.options.nowMs();
    const finish = (outcome: Outcome, answered: boolean): void => {
      assert(this.pending.delete(id), () => `operation ${id} ends once`);
      const end = answered ? { returned: this.places++, returnMs: this.options.nowMs() } : {};
      const operation: Operation = {
        type: 'operation',
        id,
        ...asker,
        called,
        callMs,
        ...end,
        request,
        outcome,
      };
      if (this.options.sink === undefined) this.operations[id] = operation;
      else this.options.sink(operation);
    };
    this.pending.set(id, finish);
    return new PendingOperation(id, finish);
  }

  /** A number for a new watch stream. */
  stream(): number {
    return this.streamCount++;
  }

  /** Just before the watch is asked for. @returns its number */
  watch(
    asker: Asker,
    stream: number,
    shape: Pick<Watch, 'key'> &
      Partial<
        Omit<Watch, 'type' | 'watch' | 'stream' | 'client' | 'member' | 'user' | 'called' | 'callMs' | 'key'>
      >,
  ): number {
    const watch = this.watchCount++;
    this.keepWatch({
      type: 'watch',
      watch,
      stream,
      ...asker,
      called: this.places++,
      callMs: this.options.nowMs(),
      ...shape,
    });
    return watch;
  }

  /** As soon as it came. */
  watchResponse(response: Omit<WatchResponse, 'type' | 'seq' | 'ms'>): void {
    this.keepWatch({ type: 'watchResponse', ...this.place(), ...response });
  }

  /** Just before the cancellation is sent. */
  watchCancel(watch: number): void {
    this.keepWatch({ type: 'watchCancel', ...this.place(), watch });
  }

  streamEnd(stream: number, code = 'OK', text = ''): void {
    this.keepWatch({ type: 'streamEnd', ...this.place(), stream, code, text });
  }

  fact(fact: Unplaced<Fact>): void {
    const record = { ...this.place(), ...fact } as Fact;
    if (this.options.sink === undefined) this.facts.push(record);
    else this.options.sink(record);
  }

  /** What has not ended yet is written down as unknown. Nothing may be recorded afterwards. */
  finish(): History {
    for (const finish of [...this.pending.values()]) finish({ kind: 'unknown' }, false);
    const { beginning, operations, watches, facts } = this;
    return { beginning, operations, watches, facts };
  }

  private place(): { readonly seq: number; readonly ms: number } {
    return { seq: this.places++, ms: this.options.nowMs() };
  }

  private keepWatch(record: WatchRecord): void {
    if (this.options.sink === undefined) this.watches.push(record);
    else this.options.sink(record);
  }
}
