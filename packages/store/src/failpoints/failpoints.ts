/**
 * Places where a member can be told to stand still or to die, for those who test what it survives. They are
 * wrapped around the log and the backend from outside and only when the environment asks for it: without
 * GOFAIL_HTTP or GOFAIL_FAILPOINTS no part of a member knows of them. Names are etcd's.
 */
import { Deferred, type Clock } from '@keelson/base';
import type { Backend, BackendRange } from '../backend/backend.ts';
import { Terms } from './terms.ts';

/** Before and after entries and hard state are synced; before and after a batch of the backend is. */
export const FAILPOINTS = ['afterCommit', 'beforeCommit', 'raftAfterSave', 'raftBeforeSave'] as const;
export type Failpoint = (typeof FAILPOINTS)[number];

/** The part of the log that is wrapped. */
export interface Appendable<Batch> {
  append(batch: Batch): Promise<void>;
}

export interface FailpointOptions {
  readonly clock: Clock;
  readonly uniform: () => number;
  /** Ends the process at once: nothing is flushed, nobody is told. */
  readonly die: (message: string) => void;
  readonly print: (point: string) => void;
}

export class Failpoints {
  private readonly options: FailpointOptions;
  private readonly armed = new Map<Failpoint, Terms>();
  private readonly counts = new Map<Failpoint, number>();

  constructor(options: FailpointOptions) {
    this.options = options;
  }

  /** What it is told to do, '' for nothing; undefined when there is no such place. */
  status(name: string): string | undefined {
    const point = pointOf(name);
    return point && (this.armed.get(point)?.text ?? '');
  }

  /** How often it acted since it was armed. */
  count(name: string): number | undefined {
    const point = pointOf(name);
    return point && (this.counts.get(point) ?? 0);
  }

  /** @returns what is wrong; undefined: nothing */
  arm(name: string, text: string): string | undefined {
    const point = pointOf(name);
    if (point === undefined) return 'failpoint: failpoint does not exist';
    const terms = Terms.parse(text);
    if (terms === undefined) return 'failpoint: could not parse terms';
    this.armed.set(point, terms);
    this.counts.set(point, 0);
    return undefined;
  }

  /** "name=terms;name=terms", as GOFAIL_FAILPOINTS has it. @returns what is wrong with the first that is */
  armAll(list: string): string | undefined {
    for (const each of list.split(';')) {
      const equals = each.indexOf('=');
      if (each.trim() === '') continue;
      const problem =
        equals < 0
          ? 'failpoint: bad failpoint'
          : this.arm(each.slice(0, equals).trim(), each.slice(equals + 1));
      if (problem !== undefined) return problem;
    }
    return undefined;
  }

  /** @returns what is wrong; undefined: nothing */
  disarm(name: string): string | undefined {
    const point = pointOf(name);
    if (point === undefined) return 'failpoint: failpoint does not exist';
    return this.armed.delete(point) ? undefined : 'failpoint: failpoint is disabled';
  }

  /** The log with its two places. Calls stay in order however long one of them sleeps. */
  log<Batch>(log: Appendable<Batch>): Appendable<Batch> {
    let underway = 0;
    let last: Promise<void> = Promise.resolve();
    const held = async (batch: Batch, before: Promise<void>): Promise<void> => {
      await before;
      await this.at('raftBeforeSave');
      await log.append(batch);
      await this.at('raftAfterSave');
    };
    return {
      append: (batch) => {
        // Unhindered, appends that wait share a sync; so they are strung up only while there is a reason.
        if (underway === 0 && !this.armed.has('raftBeforeSave') && !this.armed.has('raftAfterSave'))
          return log.append(batch);
        underway++;
        const done = held(batch, last);
        last = done.then(
          () => void underway--,
          () => void underway--,
        );
        return done;
      },
    };
  }

  backend(backend: Backend): Backend {
    return {
      getSync: (key) => backend.getSync(key),
      iterate: (range: BackendRange) => backend.iterate(range),
      write: async (operations) => {
        await this.at('beforeCommit');
        await backend.write(operations);
        await this.at('afterCommit');
      },
      snapshot: () => backend.snapshot(),
      sizeBytes: () => backend.sizeBytes(),
      rangeSizeBytes: (gte, lt) => backend.rangeSizeBytes(gte, lt),
      compact: (gte, lt) => backend.compact(gte, lt),
      close: () => backend.close(),
    };
  }

  private async at(point: Failpoint): Promise<void> {
    const terms = this.armed.get(point);
    if (terms === undefined) return;
    const action = terms.next(this.options.uniform);
    if (action.kind === 'off') return;
    this.counts.set(point, (this.counts.get(point) ?? 0) + 1);
    if (action.kind === 'panic') {
      this.options.die(`failpoint panic: ${point}${action.message === '' ? '' : `: ${action.message}`}`);
      // Whatever dying takes: nothing may happen behind this place.
      await new Deferred<void>().promise;
    } else if (action.kind === 'sleep') {
      const slept = new Deferred<void>();
      this.options.clock.setTimer(action.ms, () => slept.resolve());
      await slept.promise;
    } else if (action.kind === 'print') this.options.print(point);
  }
}

function pointOf(name: string): Failpoint | undefined {
  return FAILPOINTS.find((each) => each === name);
}
