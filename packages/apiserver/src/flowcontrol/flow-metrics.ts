/** What priority and fairness counts, under the names the original gives these metrics. */

import { Counter, Gauge, Histogram, type MetricsRegistry } from '../metrics/registry.ts';
import type { Limits } from './borrowing.ts';
import type { Refusal } from './queue-set.ts';

/** A level, as far as it is counted. */
export interface CountedLevel {
  readonly facts: { readonly name: string };
  readonly limits: Limits;
  readonly seatsNow: number;
  readonly seatsInUse: number;
  readonly executing: number;
  readonly waiting: number;
  readonly demand: { readonly smoothed: number };
}

/** Seconds; the original's. */
const SECONDS: readonly number[] = [0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30];
const SEATS: readonly number[] = [1, 2, 4, 10];

export class FlowMetrics {
  private readonly registry: MetricsRegistry;
  private readonly refusals: Counter;
  private readonly dispatches: Counter;
  private readonly executions: Histogram;
  private readonly waits: Histogram;
  private readonly estimates: Histogram;
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
      new Histogram(named('request_execution_seconds'), 'How long requests had their seats.', flow, SECONDS),
    );
    this.waits = registry.add(
      new Histogram(
        named('request_wait_duration_seconds'),
        'How long requests waited for their seats.',
        ['execute', 'priority_level'],
        SECONDS,
      ),
    );
    this.estimates = registry.add(
      new Histogram(named('work_estimated_seats'), 'Seats of requests.', flow, SEATS),
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
    gauge('current_inqueue_requests', 'Requests that wait.', ({ waiting }) => waiting);
    gauge('current_executing_requests', 'Requests that have their seats.', ({ executing }) => executing);
    gauge('current_executing_seats', 'Seats that are taken.', ({ seatsInUse }) => seatsInUse);
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

  executed(schema: string, level: string, ms: number): void {
    this.executions.observe([schema, level], ms / 1_000);
  }

  waited(level: string, execute: boolean, ms: number): void {
    this.waits.observe([String(execute), level], ms / 1_000);
  }

  adjusted(fraction: number): void {
    this.fraction = fraction;
  }
}
