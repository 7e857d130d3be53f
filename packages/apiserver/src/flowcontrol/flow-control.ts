/**
 * Priority and fairness as a server has it: the schemas and levels that are stored, which of them a request is of, and
 * the seats it waits for. The objects are told from outside; what the mandatory ones say holds before anything was told.
 *
 * Modelled on apiserver's util/flowcontrol apf_controller and apf_filter.
 */

import { assert, type Clock, type Timer } from '@keelson/base';

import type { KubeObject } from '../api/meta.ts';
import { ADJUST_MS, Demand, limitsOf, shareOut, type Limits } from './borrowing.ts';
import {
  distinguisherOf,
  flowSchemaOf,
  inOrder,
  matchesSchema,
  priorityLevelOf,
  type Digest,
  type FlowSchema,
  type PriorityLevel,
} from './flow-schema.ts';
import type { FlowMetrics } from './flow-metrics.ts';
import { QueueSet, type Refusal, type Seats, type Work } from './queue-set.ts';
import { RetryAfter } from './retry-after.ts';
import { flowHash } from './shuffle-shard.ts';

export interface FlowControlOptions {
  readonly clock: Clock;
  /** Of all levels together: --max-requests-inflight and --max-mutating-requests-inflight. */
  readonly serverSeats: number;
  /** How long a request may wait at most; a quarter of --request-timeout. */
  readonly waitMs: number;
  /** Those that hold whatever is stored. */
  readonly mandatory: {
    readonly priorityLevels: readonly KubeObject[];
    readonly flowSchemas: readonly KubeObject[];
  };
  readonly metrics?: FlowMetrics;
}

/** Which schema and level a request is of. */
export interface Classified {
  readonly schema: FlowSchema;
  readonly level: PriorityLevel;
  readonly distinguisher: string;
  /** Seats that one request of the level may have at most. */
  readonly seatsMax: number;
}

export type Entry =
  | { readonly kind: 'enter'; readonly seats: Seats }
  | { readonly kind: 'refused'; readonly reason: Refusal; readonly retrySeconds: number };

/** What a request is about, for dumps. */
export interface Asking {
  readonly digest: Digest;
  readonly schema: string;
  readonly distinguisher: string;
}

const END: Readonly<Record<Refusal, 'rejected' | 'timedOut' | 'cancelled'>> = {
  'queue-full': 'rejected',
  'concurrency-limit': 'rejected',
  'time-out': 'timedOut',
  cancelled: 'cancelled',
};

export class Level {
  facts: PriorityLevel;
  limits: Limits;
  readonly queues: QueueSet;
  readonly demand: Demand;
  readonly retryAfter = new RetryAfter();
  /** Gone from the store; ends when nothing of it is under way. */
  quiescing = false;
  seatsNow: number;
  /** Seats that it wanted in the last period, and was to have at its end; unknown before there was one. */
  lastDemand: ReturnType<Demand['period']> | undefined = undefined;
  target: number | undefined = undefined;
  exemptSeats = 0;
  exemptExecuting = 0;
  /** How its requests ended their wait since it is there. */
  readonly ends = { dispatched: 0, rejected: 0, timedOut: 0, cancelled: 0 };

  constructor(facts: PriorityLevel, limits: Limits, options: FlowControlOptions) {
    const { clock, metrics } = options;
    const { name } = facts;
    this.facts = facts;
    this.limits = limits;
    this.seatsNow = limits.nominal;
    this.demand = new Demand(clock.monotonicMs());
    this.queues = new QueueSet({
      clock,
      queuing: facts.queuing,
      seats: limits.nominal,
      observer: {
        enqueued: (schema, length) => metrics?.enqueued(schema, name, length),
        dispatched: (schema, waitedMs) => {
          this.ends.dispatched += 1;
          if (this.facts.queuing !== undefined) metrics?.waited(schema, name, true, waitedMs);
        },
        refused: (schema, reason, waitedMs) => {
          this.ends[END[reason]] += 1;
          // Who was never let into a queue has not waited.
          if (reason === 'time-out' || reason === 'cancelled') metrics?.waited(schema, name, false, waitedMs);
        },
        unaccommodated: (schema) => metrics?.unaccommodated(schema, name),
        demand: (seats) => this.demand.set(seats, clock.monotonicMs()),
      },
    });
  }

  get executing(): number {
    return this.facts.exempt ? this.exemptExecuting : this.queues.executing;
  }

  get seatsInUse(): number {
    return this.facts.exempt ? this.exemptSeats : this.queues.seatsInUse;
  }

  get waiting(): number {
    return this.queues.waiting;
  }
}

export class FlowControl {
  private readonly options: FlowControlOptions;
  private readonly storedSchemas = new Map<string, FlowSchema>();
  private readonly storedLevels = new Map<string, PriorityLevel>();
  private readonly states = new Map<string, Level>();
  private schemas: readonly FlowSchema[] = [];
  private timer: Timer | undefined = undefined;

  constructor(options: FlowControlOptions) {
    this.options = options;
    this.rebuild();
    options.metrics?.follow(() => this.levels());
  }

  /** Begins to move seats between levels. */
  start(): void {
    this.timer = this.options.clock.setTimer(ADJUST_MS, () => {
      this.adjust();
      this.start();
    });
  }

  stop(): void {
    this.timer?.cancel();
  }

  putSchema(object: KubeObject): void {
    const schema = flowSchemaOf(object);
    this.storedSchemas.set(schema.name, schema);
    this.rebuild();
  }

  removeSchema(name: string): void {
    this.storedSchemas.delete(name);
    this.rebuild();
  }

  putLevel(object: KubeObject): void {
    const level = priorityLevelOf(object);
    this.storedLevels.set(level.name, level);
    this.rebuild();
  }

  removeLevel(name: string): void {
    this.storedLevels.delete(name);
    this.rebuild();
  }

  /** Whether a schema may send requests to a level of that name. */
  hasLevel(name: string): boolean {
    const state = this.states.get(name);
    return state !== undefined && !state.quiescing;
  }

  /** By name. */
  levels(): Level[] {
    return [...this.states.values()].toSorted((a, b) => (a.facts.name < b.facts.name ? -1 : 1));
  }

  classify(digest: Digest): Classified {
    const schema = this.schemas.find((each) => matchesSchema(each, digest)) ?? this.schemas.at(-1);
    assert(schema !== undefined, 'the mandatory flow schemas are always there');
    const state = this.stateOf(schema.level);
    return {
      schema,
      level: state.facts,
      distinguisher: distinguisherOf(schema, digest),
      seatsMax: seatsMaxOf(state),
    };
  }

  /** Waits for the seats of a request; never rejects. */
  async enter(
    { schema, level, distinguisher }: Classified,
    digest: Digest,
    work: Work,
    signal: AbortSignal,
  ): Promise<Entry> {
    const { metrics, waitMs, clock } = this.options;
    const state = this.stateOf(level.name);
    metrics?.estimated(schema.name, level.name, work.seats);
    if (level.exempt) {
      state.ends.dispatched += 1;
      metrics?.dispatched(schema.name, level.name);
      return { kind: 'enter', seats: this.exempted(state, schema.name, digest, work) };
    }
    const about: Asking = { digest, schema: schema.name, distinguisher };
    const outcome = await state.queues.ask({
      work,
      hash: flowHash(schema.name, distinguisher),
      waitMs,
      signal,
      counted: schema.name,
      about,
    });
    if ('refused' in outcome) {
      const reason = outcome.refused;
      metrics?.refused(schema.name, level.name, reason);
      return { kind: 'refused', reason, retrySeconds: state.retryAfter.refused(clock.monotonicMs()) };
    }
    metrics?.dispatched(schema.name, level.name);
    const startMs = clock.monotonicMs();
    return {
      kind: 'enter',
      seats: {
        release: () => {
          outcome.seats.release();
          metrics?.executed(schema.name, level.name, typeOf(digest), clock.monotonicMs() - startMs);
          if (state.quiescing) this.rebuild();
        },
      },
    };
  }

  /** Gives every level seats by what it wanted lately. Called by itself every ten seconds once started. */
  adjust(): void {
    const nowMs = this.options.clock.monotonicMs();
    const limited: Level[] = [];
    const claims = [];
    let left = this.options.serverSeats;
    for (const state of this.levels()) {
      const demand = state.demand.period(nowMs);
      state.lastDemand = demand;
      const { high } = demand;
      if (state.facts.exempt) {
        // What nobody holds back is taken off first.
        left -= Math.round(Math.max(state.limits.lower, state.demand.smoothed));
        continue;
      }
      const { nominal, lower, upper } = state.limits;
      const least = Math.max(lower, Math.min(nominal, high));
      limited.push(state);
      state.target = Math.max(least, state.demand.smoothed);
      claims.push({ lower: least, upper, target: state.target });
    }
    const { seats, fraction } = shareOut(left, claims);
    for (const [index, state] of limited.entries()) {
      state.seatsNow = seats[index];
      state.queues.setSeats(Math.max(1, seats[index]));
    }
    this.options.metrics?.adjusted(fraction);
  }

  private stateOf(name: string): Level {
    const state = this.states.get(name);
    assert(state !== undefined, `a schema leads to a level that is there: ${name}`);
    return state;
  }

  private exempted(state: Level, schema: string, digest: Digest, { seats }: Work): Seats {
    const { clock, metrics } = this.options;
    const usage = state.queues.usageOf(schema);
    const startMs = clock.monotonicMs();
    usage.executing += 1;
    usage.seats += seats;
    state.exemptSeats += seats;
    state.exemptExecuting += 1;
    state.demand.set(state.exemptSeats, clock.monotonicMs());
    let running = true;
    return {
      release: () => {
        if (!running) return;
        running = false;
        usage.executing -= 1;
        usage.seats -= seats;
        metrics?.executed(schema, state.facts.name, typeOf(digest), clock.monotonicMs() - startMs);
        state.exemptSeats -= seats;
        state.exemptExecuting -= 1;
        state.demand.set(state.exemptSeats, clock.monotonicMs());
      },
    };
  }

  /** Takes what is stored, and what must be there in its place where it is not. */
  private rebuild(): void {
    const { mandatory, serverSeats } = this.options;
    const levels = new Map(this.storedLevels);
    for (const object of mandatory.priorityLevels) {
      const level = priorityLevelOf(object);
      if (!levels.has(level.name)) levels.set(level.name, level);
    }
    for (const [name, state] of this.states) {
      state.quiescing = !levels.has(name);
      if (state.quiescing && state.queues.idle) this.states.delete(name);
      // Whoever waits has still to be served.
      else if (state.quiescing) levels.set(name, state.facts);
    }
    const limits = limitsOf([...levels.values()], serverSeats);
    for (const [name, facts] of levels) {
      const limit = limits.get(name);
      assert(limit !== undefined, 'every level has limits');
      const state = this.states.get(name);
      if (state === undefined) {
        this.states.set(name, new Level(facts, limit, this.options));
        continue;
      }
      const same = JSON.stringify([facts, limit]) === JSON.stringify([state.facts, state.limits]);
      state.facts = facts;
      state.limits = limit;
      if (same) continue;
      state.seatsNow = limit.nominal;
      state.queues.configure(facts.queuing, Math.max(1, limit.nominal));
    }
    const schemas = new Map(this.storedSchemas);
    for (const object of mandatory.flowSchemas) {
      const schema = flowSchemaOf(object);
      if (!schemas.has(schema.name)) schemas.set(schema.name, schema);
    }
    this.schemas = inOrder(schemas.values()).filter(({ level }) => this.hasLevel(level));
  }
}

/** How the time of a request is counted: a watch has its seats while it begins. */
function typeOf({ info }: Digest): 'regular' | 'watch' {
  return info.verb === 'watch' ? 'watch' : 'regular';
}

/** One request must leave room: with a hand of queues as much as one of them has, else a quarter. */
function seatsMaxOf({ facts, limits }: Level): number {
  if (facts.exempt) return Infinity;
  return Math.max(1, Math.floor(limits.nominal / (facts.queuing?.handSize ?? 4)));
}
