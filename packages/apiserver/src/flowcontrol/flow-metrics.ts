/** What priority and fairness counts, under the names the original gives these metrics. */

import { Counter, Gauge, Histogram, type MetricsRegistry } from '../metrics/registry.ts';
import type { Limits } from './borrowing.ts';
import type { Refusal, Usage } from './queue-set.ts';

/** A level, as far as it is counted. */
export interface CountedLevel {
  readonly facts: { readonly name: string };
  readonly limits: Limits;
  readonly seatsNow: number;
  readonly queues: { readonly usage: ReadonlyMap<string, Readonly<Usage>> };
  readonly demand: { readonly smoothed: number };
  readonly lastDemand:
    { readonly high: number; readonly average: number; readonly deviation: number } | undefined;
  readonly target: number | undefined;
}

/** Seconds; the original's. */
const SECONDS: readonly number[] = [0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30];
const SEATS: readonly number[] = [1, 2, 4, 10];
const LENGTHS: readonly number[] = [0, 10, 25, 50, 100, 250, 500, 1_000];

export class FlowMetrics {
  private readonly registry: MetricsRegistry;
  private readonly refusals: Counter;
  private readonly dispatches: Counter;
  private readonly executions: Histogram;
  private readonly waits: Histogram;
  private readonly estimates: Histogram;
  private readonly lengths: Histogram;
  private readonly delays: Counter;
  private fraction = 0;

  constructor(registry: MetricsRegistry) {
    const flow = ['flow_schema', 'priority_level'];
    const named = (name: string): string => `apiserver_flowcontrol_${name}`;
    this.registry = registry;
    this.refusals = registry.add(
      new Counter(named('rejected_requests_total'), 'Requests that were refused.', [...flow, 'reason']),
    );
    this.dispatches = registry.add(
      new Counter(named('dispatched_requests_total'), 'Requests that got their seats.', flow),
    );
    this.executions = registry.add(
      new Histogram(
        named('request_execution_seconds'),
        'How long requests had their seats.',
        [...flow, 'type'],
        SECONDS,
      ),
    );
    this.waits = registry.add(
      new Histogram(
        named('request_wait_duration_seconds'),
        'How long requests waited for their seats.',
        ['execute', ...flow],
        SECONDS,
      ),
    );
    this.estimates = registry.add(
      new Histogram(named('work_estimated_seats'), 'Seats of requests.', flow, SEATS),
    );
    this.lengths = registry.add(
      new Histogram(
        named('request_queue_length_after_enqueue'),
        'Requests that wait in a queue, after one came.',
        flow,
        LENGTHS,
      ),
    );
    this.delays = registry.add(
      new Counter(
        named('request_dispatch_no_accommodation_total'),
        'Times that the next request had to wait for seats.',
        flow,
      ),
    );
  }

  /** @param levels asked when somebody looks */
  follow(levels: () => readonly CountedLevel[]): void {
    const gauge = (name: string, help: string, read: (level: CountedLevel) => number): void => {
      this.registry.add(
        new Gauge(`apiserver_flowcontrol_${name}`, help, ['priority_level'], () =>
          levels().map((level) => [[level.facts.name], read(level)] as const),
        ),
      );
    };
    const used = (name: string, help: string, count: keyof Usage): void => {
      this.registry.add(
        new Gauge(`apiserver_flowcontrol_${name}`, help, ['flow_schema', 'priority_level'], () =>
          levels().flatMap(({ facts, queues }) =>
            [...queues.usage].map(([schema, usage]) => [[schema, facts.name], usage[count]] as const),
          ),
        ),
      );
    };
    const known = (name: string, help: string, read: (level: CountedLevel) => number | undefined): void => {
      this.registry.add(
        new Gauge(`apiserver_flowcontrol_${name}`, help, ['priority_level'], () =>
          levels().flatMap((level) => {
            const value = read(level);
            return value === undefined ? [] : [[[level.facts.name], value] as const];
          }),
        ),
      );
    };
    used('current_inqueue_requests', 'Requests that wait.', 'waiting');
    used('current_inqueue_seats', 'Seats that are waited for.', 'waitingSeats');
    used('current_executing_requests', 'Requests that have their seats.', 'executing');
    used('current_executing_seats', 'Seats that are taken.', 'seats');
    known(
      'demand_seats_high_watermark',
      'Most seats wanted in the last period.',
      ({ lastDemand }) => lastDemand?.high,
    );
    known(
      'demand_seats_average',
      'Seats wanted in the last period, on average.',
      ({ lastDemand }) => lastDemand?.average,
    );
    known(
      'demand_seats_stdev',
      'How the seats wanted in the last period varied.',
      ({ lastDemand }) => lastDemand?.deviation,
    );
    known('target_seats', 'Seats that a level was to have after the last period.', ({ target }) => target);
    gauge('nominal_limit_seats', 'Seats by shares.', ({ limits }) => limits.nominal);
    gauge('lower_limit_seats', 'Seats that are not lent.', ({ limits }) => limits.lower);
    gauge('upper_limit_seats', 'Seats with all that may be borrowed.', ({ limits }) => limits.upper);
    gauge('current_limit_seats', 'Seats at the moment.', ({ seatsNow }) => seatsNow);
    gauge('demand_seats_smoothed', 'Seats wanted, over time.', ({ demand }) => demand.smoothed);
    this.registry.add(
      new Gauge(
        'apiserver_flowcontrol_seat_fair_frac',
        'Fraction of what levels wanted that they got.',
        [],
        () => [[[], this.fraction]],
      ),
    );
  }

  estimated(schema: string, level: string, seats: number): void {
    this.estimates.observe([schema, level], seats);
  }

  dispatched(schema: string, level: string): void {
    this.dispatches.add([schema, level]);
  }

  refused(schema: string, level: string, reason: Refusal): void {
    this.refusals.add([schema, level, reason]);
  }

  executed(schema: string, level: string, type: 'regular' | 'watch', ms: number): void {
    this.executions.observe([schema, level, type], ms / 1_000);
  }

  enqueued(schema: string, level: string, length: number): void {
    this.lengths.observe([schema, level], length);
  }

  unaccommodated(schema: string, level: string): void {
    this.delays.add([schema, level]);
  }

  waited(schema: string, level: string, execute: boolean, ms: number): void {
    this.waits.observe([String(execute), schema, level], ms / 1_000);
  }

  adjusted(fraction: number): void {
    this.fraction = fraction;
  }
}
