/** Priority and fairness in virtual time: hands, matching, queues, borrowing, and that a flood of one tenant is not felt by another. */
import { readFileSync } from 'node:fs';

import { describe, expect, test } from '@jest/globals';
import { Prng, type Clock } from '@keelson/base';

import type { KubeObject } from '../api/meta.ts';
import { pathSegments, requestInfo } from '../api/request-info.ts';
import type { UserInfo } from '../api/user-info.ts';
import { MetricsRegistry } from '../metrics/registry.ts';
import { limitsOf, shareOut } from './borrowing.ts';
import { dumpLevels, dumpQueues, dumpRequests } from './dumps.ts';
import { FlowControl, type Entry } from './flow-control.ts';
import { FlowMetrics } from './flow-metrics.ts';
import { flowSchemaOf, matchesSchema, priorityLevelOf, type Digest } from './flow-schema.ts';
import type { Work } from './queue-set.ts';
import { RetryAfter } from './retry-after.ts';
import { dealHand, flowHash } from './shuffle-shard.ts';
import { WatchTracker } from './watch-tracker.ts';
import { estimateWork } from './work-estimate.ts';

/** A clock that stands still until it is told to go. */
class VirtualClock implements Clock {
  private time = 0;
  private timers: { readonly atMs: number; readonly task: () => void }[] = [];

  nowMs(): number {
    return this.time;
  }

  monotonicMs(): number {
    return this.time;
  }

  setTimer(delayMs: number, task: () => void): { cancel: () => void } {
    const timer = { atMs: this.time + delayMs, task };
    this.timers.push(timer);
    return { cancel: () => void (this.timers = this.timers.filter((each) => each !== timer)) };
  }

  /** Lets the time pass, one timer after the other, and what each wakes. */
  async pass(ms: number): Promise<void> {
    const end = this.time + ms;
    for (;;) {
      await settled();
      const due = this.timers.filter(({ atMs }) => atMs <= end).toSorted((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.timers = this.timers.filter((each) => each !== due);
      this.time = Math.max(this.time, due.atMs);
      due.task();
    }
    this.time = end;
  }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 12; turn += 1) await Promise.resolve();
}

const user = (name: string, ...groups: string[]): UserInfo => ({ name, uid: '', groups, extra: {} });

function digestOf(method: string, target: string, who: UserInfo): Digest {
  const { pathname, searchParams } = new URL(target, 'https://server');
  return { info: requestInfo(method, pathname, pathSegments(pathname), searchParams), user: who };
}

const everybody = {
  subjects: [{ kind: 'Group', group: { name: '*' } }],
  resourceRules: [
    { verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'], clusterScope: true },
  ],
  nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
};

function schema(
  name: string,
  level: string,
  precedence: number,
  rules: readonly object[],
  method = 'ByUser',
): KubeObject {
  return {
    apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
    kind: 'FlowSchema',
    metadata: { name, uid: `uid-of-${name}` },
    spec: {
      priorityLevelConfiguration: { name: level },
      matchingPrecedence: precedence,
      distinguisherMethod: { type: method },
      rules,
    },
  };
}

function level(name: string, shares: number, queuing?: object, more: object = {}): KubeObject {
  return {
    apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
    kind: 'PriorityLevelConfiguration',
    metadata: { name, uid: `uid-of-${name}` },
    spec: {
      type: 'Limited',
      limited: {
        nominalConcurrencyShares: shares,
        limitResponse: queuing === undefined ? { type: 'Reject' } : { type: 'Queue', queuing },
        ...more,
      },
    },
  };
}

const EXEMPT: KubeObject = {
  apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
  kind: 'PriorityLevelConfiguration',
  metadata: { name: 'exempt' },
  spec: { type: 'Exempt' },
};
const MASTERS = { ...everybody, subjects: [{ kind: 'Group', group: { name: 'system:masters' } }] };
const MANDATORY = {
  priorityLevels: [EXEMPT, level('catch-all', 5)],
  flowSchemas: [
    schema('exempt', 'exempt', 1, [MASTERS]),
    schema('catch-all', 'catch-all', 10_000, [everybody]),
  ],
};

interface Rig {
  readonly clock: VirtualClock;
  readonly control: FlowControl;
  readonly metrics: MetricsRegistry;
  readonly ask: (
    who: UserInfo,
    work?: Partial<Work>,
    signal?: AbortSignal,
    target?: string,
  ) => Promise<Entry>;
}

function rig(serverSeats: number, levels: readonly KubeObject[], schemas: readonly KubeObject[]): Rig {
  const clock = new VirtualClock();
  const metrics = new MetricsRegistry();
  const control = new FlowControl({
    clock,
    serverSeats,
    waitMs: 15_000,
    mandatory: MANDATORY,
    metrics: new FlowMetrics(metrics),
  });
  for (const each of levels) control.putLevel(each);
  for (const each of schemas) control.putSchema(each);
  return {
    clock,
    control,
    metrics,
    ask(who, work = {}, signal = new AbortController().signal, target = '/api/v1/namespaces/a/pods/b') {
      const digest = digestOf('GET', target, who);
      return control.enter(
        control.classify(digest),
        digest,
        { seats: 1, finalSeats: 0, finalMs: 0, ...work },
        signal,
      );
    },
  };
}

const QUEUED = { queues: 16, handSize: 4, queueLengthLimit: 3 };
const GLOBAL = [schema('global', 'global', 9_900, [everybody])];

function release(entry: Entry): void {
  if (entry.kind !== 'enter') throw new Error(`refused: ${entry.reason}`);
  entry.seats.release();
}

describe('hands', () => {
  test('are different cards below the deck, and the same for the same flow', () => {
    const prng = new Prng(3);
    for (let round = 0; round < 300; round += 1) {
      const deck = 6 + prng.below(200);
      const hash = flowHash('schema', `user-${round}`);
      const hand = dealHand(hash, deck, 6);
      expect(new Set(hand).size).toBe(6);
      expect(Math.max(...hand)).toBeLessThan(deck);
      expect(dealHand(hash, deck, 6)).toEqual(hand);
    }
  });

  test('every card is dealt about as often', () => {
    const counts = new Map<number, number>();
    for (let flow = 0; flow < 4_000; flow += 1) {
      for (const card of dealHand(flowHash('s', String(flow)), 16, 4))
        counts.set(card, (counts.get(card) ?? 0) + 1);
    }
    expect(counts.size).toBe(16);
    for (const count of counts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(200);
  });
});

interface MatchCase {
  readonly name: string;
  readonly rule: object;
  readonly user: string;
  readonly groups?: string[];
  readonly method: string;
  readonly target: string;
  readonly matches: boolean;
}
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own data
const MATCHES = JSON.parse(
  readFileSync(new URL('../../test/testdata/flowcontrol/matching.json', import.meta.url), 'utf8'),
) as MatchCase[];

describe('what a schema matches', () => {
  test.each(MATCHES.map((one) => [one.name, one] as const))(
    '%s',
    (_name, { rule, user: name, groups = [], method, target, matches }) => {
      const digest = digestOf(method, target, user(name, ...groups));
      expect(matchesSchema(flowSchemaOf(schema('s', 'l', 5, [rule])), digest)).toBe(matches);
    },
  );
});

describe('which schema', () => {
  test('by precedence, then by name; one whose level is missing is passed by', () => {
    const { control } = rig(
      100,
      [level('a', 10, QUEUED)],
      [
        schema('z-first', 'a', 100, [everybody]),
        schema('a-first', 'a', 100, [everybody]),
        schema('dangling', 'nowhere', 2, [everybody]),
      ],
    );
    const named = (who: UserInfo): string =>
      control.classify(digestOf('GET', '/api/v1/pods', who)).schema.name;
    expect(named(user('u'))).toBe('a-first');
    expect(named(user('root', 'system:masters'))).toBe('exempt');
    expect(control.hasLevel('nowhere')).toBe(false);
    control.removeLevel('a');
    expect(named(user('u'))).toBe('catch-all');
  });

  test('the distinguisher of a flow', () => {
    const { control } = rig(
      100,
      [level('a', 10, QUEUED)],
      [schema('by-namespace', 'a', 100, [everybody], 'ByNamespace')],
    );
    const digest = digestOf('GET', '/api/v1/namespaces/shop/pods', user('u'));
    expect(control.classify(digest).distinguisher).toBe('shop');
  });
});

describe('seats', () => {
  test('a level without queues refuses what finds none', async () => {
    const { ask, metrics } = rig(2, [], []);
    const taken = await Promise.all([ask(user('a')), ask(user('b'))]);
    expect(taken.map(({ kind }) => kind)).toEqual(['enter', 'enter']);
    expect(await ask(user('c'))).toEqual({ kind: 'refused', reason: 'concurrency-limit', retrySeconds: 1 });
    release(taken[0]);
    expect((await ask(user('c'))).kind).toBe('enter');
    expect(metrics.text()).toContain(
      'apiserver_flowcontrol_rejected_requests_total{flow_schema="catch-all",priority_level="catch-all",reason="concurrency-limit"} 1',
    );
  });

  test('what is counted is told apart by schema and level', async () => {
    const { ask, metrics, clock, control } = rig(1, [level('global', 100_000, QUEUED)], GLOBAL);
    const series = (name: string): string[] =>
      metrics.text().match(new RegExp(`^apiserver_flowcontrol_${name}\\{.*$`, 'gm')) ?? [];
    const first = await ask(user('a'));
    const second = ask(user('a'), { seats: 2 });
    await settled();
    const of = '{flow_schema="global",priority_level="global"}';
    expect(series('current_inqueue_requests')).toEqual([
      `apiserver_flowcontrol_current_inqueue_requests${of} 1`,
    ]);
    expect(series('current_inqueue_seats')).toEqual([`apiserver_flowcontrol_current_inqueue_seats${of} 2`]);
    expect(series('current_executing_seats')).toEqual([
      `apiserver_flowcontrol_current_executing_seats${of} 1`,
    ]);
    expect(series('request_dispatch_no_accommodation_total')).toEqual([
      `apiserver_flowcontrol_request_dispatch_no_accommodation_total${of} 1`,
    ]);
    expect(series('request_queue_length_after_enqueue_count')).toEqual([
      `apiserver_flowcontrol_request_queue_length_after_enqueue_count${of} 2`,
    ]);
    await clock.pass(1_000);
    release(first);
    release(await second);
    const exempt = await ask(user('root', 'system:masters'));
    release(exempt);
    expect(series('current_inqueue_requests')).toEqual([
      'apiserver_flowcontrol_current_inqueue_requests{flow_schema="exempt",priority_level="exempt"} 0',
      `apiserver_flowcontrol_current_inqueue_requests${of} 0`,
    ]);
    expect(series('current_executing_seats')[1]).toBe(`apiserver_flowcontrol_current_executing_seats${of} 0`);
    expect(series('request_wait_duration_seconds_sum')).toEqual([
      'apiserver_flowcontrol_request_wait_duration_seconds_sum{execute="true",flow_schema="global",priority_level="global"} 1',
    ]);
    expect(series('request_execution_seconds_count')).toEqual([
      'apiserver_flowcontrol_request_execution_seconds_count{flow_schema="global",priority_level="global",type="regular"} 2',
      'apiserver_flowcontrol_request_execution_seconds_count{flow_schema="exempt",priority_level="exempt",type="regular"} 1',
    ]);
    expect(series('target_seats')).toEqual([]);
    control.adjust();
    expect(series('demand_seats_high_watermark')).toContain(
      'apiserver_flowcontrol_demand_seats_high_watermark{priority_level="global"} 3',
    );
    expect(series('target_seats')).toHaveLength(2);
  });

  test('exempt requests never wait', async () => {
    const { ask, control } = rig(1, [], []);
    const taken = await Promise.all(Array.from({ length: 50 }, () => ask(user('root', 'system:masters'))));
    expect(taken.every(({ kind }) => kind === 'enter')).toBe(true);
    expect(control.levels().find(({ facts }) => facts.exempt)?.executing).toBe(50);
    for (const entry of taken) release(entry);
  });

  test('a full queue refuses, a wait ends after its time, one that goes away is gone', async () => {
    const { ask, clock, control } = rig(
      1,
      [level('global', 1_000, { queues: 1, handSize: 1, queueLengthLimit: 3 })],
      GLOBAL,
    );
    control.removeSchema('catch-all');
    const first = await ask(user('a'));
    const going = new AbortController();
    const waiting = [ask(user('a')), ask(user('a'), {}, going.signal), ask(user('a'))];
    await settled();
    expect(await ask(user('a'))).toEqual({ kind: 'refused', reason: 'queue-full', retrySeconds: 1 });
    going.abort();
    expect(await waiting[1]).toMatchObject({ kind: 'refused', reason: 'cancelled' });
    release(first);
    release(await waiting[0]);
    const third = await waiting[2];
    const late = ask(user('a'));
    await clock.pass(14_999);
    await clock.pass(1);
    expect(await late).toMatchObject({ kind: 'refused', reason: 'time-out' });
    release(third);
    expect(control.levels().every(({ queues }) => queues.idle)).toBe(true);
  });

  test('a wide request waits for as many seats; one wider than all there are runs alone', async () => {
    const { ask } = rig(4, [level('global', 100_000, QUEUED)], GLOBAL);
    const small = await ask(user('a'), { seats: 3 });
    const wide = ask(user('b'), { seats: 2 });
    await settled();
    release(small);
    const next = await wide;
    const giant = ask(user('c'), { seats: 40 });
    await settled();
    release(next);
    release(await giant);
  });

  test('what a write costs its watchers keeps its seats for a while', async () => {
    const { ask, clock } = rig(1, [level('global', 100_000, QUEUED)], GLOBAL);
    release(await ask(user('a'), { finalSeats: 1, finalMs: 5 }));
    let entered = false;
    const next = ask(user('b')).then((entry) => {
      entered = true;
      return entry;
    });
    await clock.pass(4);
    expect(entered).toBe(false);
    await clock.pass(1);
    release(await next);
  });

  test('fewer queues: whoever waits in one that is gone is served', async () => {
    const { ask, control } = rig(1, [level('global', 100_000, QUEUED)], GLOBAL);
    const first = await ask(user('a'));
    const waiting = Array.from({ length: 8 }, (_, index) => ask(user(`u${index}`)));
    await settled();
    control.putLevel(level('global', 100_000, { queues: 1, handSize: 1, queueLengthLimit: 3 }));
    release(first);
    await Promise.all(waiting.map(async (each) => release(await each)));
    control.removeLevel('global');
    expect(control.hasLevel('global')).toBe(false);
  });
});

describe('shares', () => {
  test('nominal, lower and upper limits', () => {
    const levels = [
      level('a', 30, QUEUED, { lendablePercent: 50 }),
      level('b', 10, QUEUED, { borrowingLimitPercent: 20 }),
    ].map(priorityLevelOf);
    expect(Object.fromEntries(limitsOf(levels, 600))).toEqual({
      a: { nominal: 450, lower: 225, upper: 600 },
      b: { nominal: 150, lower: 150, upper: 180 },
    });
  });

  test.each<[string, number, [number, number, number][], number[]]>([
    [
      'room for all',
      100,
      [
        [10, 100, 20],
        [10, 100, 30],
      ],
      [40, 60],
    ],
    [
      'too little',
      30,
      [
        [5, 100, 40],
        [5, 100, 20],
      ],
      [20, 10],
    ],
    [
      'at a lower bound',
      30,
      [
        [20, 100, 20],
        [2, 100, 40],
      ],
      [20, 10],
    ],
    [
      'at an upper bound',
      100,
      [
        [0, 10, 50],
        [0, 100, 50],
      ],
      [10, 90],
    ],
    [
      'bounds leave no choice',
      10,
      [
        [8, 10, 9],
        [8, 10, 9],
      ],
      [8, 8],
    ],
  ])('%s', (_name, total, claims, want) => {
    expect(
      shareOut(
        total,
        claims.map(([lower, upper, target]) => ({ lower, upper, target })),
      ).seats,
    ).toEqual(want);
  });

  test('a level that is idle lends, and gets back when it wants', async () => {
    const { ask, clock, control } = rig(
      100,
      [
        level('busy', 50, { queues: 16, handSize: 4, queueLengthLimit: 50 }),
        level('idle', 45, QUEUED, { lendablePercent: 50 }),
      ],
      [
        schema('busy', 'busy', 10, [{ ...everybody, subjects: [{ kind: 'User', user: { name: 'busy' } }] }]),
        schema('idle', 'idle', 20, [everybody]),
      ],
    );
    const seats = (name: string): number =>
      control.levels().find(({ facts }) => facts.name === name)?.seatsNow ?? 0;
    expect([seats('busy'), seats('idle')]).toEqual([50, 45]);
    control.start();
    const held = Array.from({ length: 80 }, () => ask(user('busy')));
    await clock.pass(10_000);
    expect(seats('idle')).toBe(22);
    expect(seats('busy')).toBeGreaterThan(65);
    control.stop();
    void Promise.all(held);
  });
});

describe('how wide a request is', () => {
  const sizes = (count: number, averageBytes?: number) => ({
    objects: () => ({ count, averageBytes }),
    watchers: () => 0,
  });
  const seats = (target: string, sources: Parameters<typeof estimateWork>[3], most = 100): number => {
    const { searchParams } = new URL(target, 'https://server');
    return estimateWork(digestOf('GET', target, user('u')).info, searchParams, most, sources).seats;
  };
  test.each<[string, string, ReturnType<typeof sizes>, number]>([
    ['a get', '/api/v1/namespaces/a/pods/b', sizes(10_000, 1_000), 1],
    ['a list that is small', '/api/v1/pods', sizes(100, 1_000), 1],
    ['a list from the cache is sent in pieces', '/api/v1/pods', sizes(100_000, 5_000), 10],
    ['an exact list', '/api/v1/pods?resourceVersion=5&resourceVersionMatch=Exact', sizes(2_000, 5_000), 100],
    [
      'a page of it',
      '/api/v1/pods?resourceVersion=5&resourceVersionMatch=Exact&limit=100',
      sizes(2_000, 5_000),
      5,
    ],
    ['a list without sizes', '/api/v1/pods', sizes(450), 5],
    ['at most ten without sizes', '/api/v1/pods', sizes(100_000), 10],
    ['one by name', '/api/v1/pods?fieldSelector=metadata.name=a', sizes(100_000), 1],
    ['a watch', '/api/v1/pods?watch=1', sizes(100_000), 1],
    ['a watch that begins with all', '/api/v1/pods?watch=1&sendInitialEvents=true', sizes(450), 5],
  ])('%s', (_name, target, sources, want) => {
    expect(seats(target, sources)).toBe(want);
  });

  test('never more than the level has for one', () => {
    expect(seats('/api/v1/pods', sizes(100_000), 3)).toBe(3);
  });

  test('a write by its watchers', () => {
    const watches = new WatchTracker();
    const all = digestOf('GET', '/api/v1/pods?watch=1', user('u')).info;
    const ends = Array.from({ length: 25 }, () => watches.add(all));
    watches.add(digestOf('GET', '/api/v1/namespaces/other/pods?watch=1', user('u')).info);
    const write = digestOf('PUT', '/api/v1/namespaces/a/pods/b', user('u')).info;
    const sources = { objects: () => undefined, watchers: () => watches.interested(write) };
    expect(estimateWork(write, new URLSearchParams(), 100, sources)).toEqual({
      seats: 1,
      finalSeats: 3,
      finalMs: 5,
    });
    expect(estimateWork(write, new URLSearchParams(), 2, sources)).toEqual({
      seats: 1,
      finalSeats: 2,
      finalMs: 7.5,
    });
    for (const end of ends) end();
    expect(watches.interested(write)).toBe(0);
  });
});

test('Retry-After grows while many are refused, and shrinks again', () => {
  const retry = new RetryAfter();
  const burst = (second: number, count: number): number => {
    let told = 0;
    for (let each = 0; each < count; each += 1) told = retry.refused(second * 1_000);
    return told;
  };
  expect(burst(10, 5)).toBe(1);
  expect(burst(11, 10)).toBe(2);
  expect(burst(13, 20)).toBe(4);
  expect(burst(17, 1)).toBe(8);
  expect(burst(40, 1)).toBe(4);
  expect(burst(80, 1)).toBe(2);
});

test('dumps', async () => {
  const { ask, control } = rig(
    1,
    [level('global', 100_000, { queues: 2, handSize: 1, queueLengthLimit: 9 })],
    GLOBAL,
  );
  const first = await ask(user('alice'));
  const second = ask(user('alice'));
  await settled();
  expect(dumpLevels(control.levels()).split('\n')).toEqual([
    'PriorityLevelName, ActiveQueues, IsIdle, IsQuiescing, WaitingRequests, ExecutingRequests, DispatchedRequests, RejectedRequests, TimedoutRequests, CancelledRequests',
    'catch-all,         0,            true,   false,       0,               0,                 0,                  0,                0,                0',
    'exempt,            0,            true,   false,       0,               0,                 0,                  0,                0,                0',
    'global,            1,            false,  false,       1,               1,                 1,                  0,                0,                0',
    '',
  ]);
  expect(dumpQueues(control.levels())).toMatch(/^global, +\d, +1, +1, +1, /m);
  const requests = dumpRequests(control.levels(), true, (ms) => ms);
  expect(requests).toMatch(
    /^global, +global, +\d, +0, +alice, +1970-01-01T00:00:00.000Z, +1, +0, +0s, +alice, +get, +\/api\/v1\/namespaces\/a\/pods\/b, +a, +b, +v1, +pods, +$/m,
  );
  release(first);
  release(await second);
});

/**
 * Two tenants on one level of 20 seats. One asks for an object 50 times a second, 5 ms each; the other, if there is
 * one, sends 1,000 lists a second, two seats wide and 20 to 60 ms each: four times what the level can serve.
 */
async function gentleLatencies(
  flood: boolean,
  queuing: object = { queues: 128, handSize: 6, queueLengthLimit: 50 },
): Promise<{ p50: number; p99: number; floodRefused: number }> {
  const prng = new Prng(17);
  const { ask, clock } = rig(20, [level('global', 1_000_000, queuing)], GLOBAL);
  const latencies: number[] = [];
  let floodRefused = 0;
  const run = async (
    who: string,
    seats: number,
    ms: number,
    done: (waited: number) => void,
  ): Promise<void> => {
    const startMs = clock.monotonicMs();
    const entry = await ask(user(who), { seats });
    if (entry.kind === 'refused') {
      floodRefused += 1;
      return;
    }
    clock.setTimer(ms, () => {
      entry.seats.release();
      done(clock.monotonicMs() - startMs);
    });
  };
  const running: Promise<void>[] = [];
  for (let ms = 0; ms < 3_000; ms += 1) {
    if (flood) running.push(run('flooder', 2, 20 + prng.below(41), () => {}));
    if (ms % 20 === 0) running.push(run('gentle', 1, 5, (waited) => latencies.push(waited)));
    await clock.pass(1);
  }
  await clock.pass(20_000);
  await Promise.all(running);
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return { p50: at(0.5), p99: at(0.99), floodRefused };
}

test('a tenant that floods lists does not move another one by more than 30 ms', async () => {
  const alone = await gentleLatencies(false);
  const beside = await gentleLatencies(true);
  const queue = { queues: 1, handSize: 1, queueLengthLimit: 300 };
  const unfair = await gentleLatencies(true, queue);
  expect(alone.p99).toBe(5);
  // The same flood without fair queues, so that this test can be believed.
  expect(unfair.p99).toBeGreaterThan(500);
  expect(beside.floodRefused).toBeGreaterThan(1_000);
  expect(beside.p99).toBeLessThanOrEqual(Math.max(2 * alone.p99, alone.p99 + 30));
});
