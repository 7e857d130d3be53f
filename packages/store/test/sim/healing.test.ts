/**
 * The end of a run, on a cluster that is made up: it waits for whoever is late, so long and no longer, and what it
 * compares is of a moment when nobody is.
 */
import { Prng } from '@keelson/base';
import { LawBroken, Scheduler, type HistoryRecorder } from '@keelson/sim';
import { describe, expect, test } from '@jest/globals';
import { agree, heal, leasesEnd } from './healing.ts';
import { settle } from './microtasks.ts';
import type { Show } from './show.ts';
import { peerUrl } from './wires.ts';

type Fact = Parameters<HistoryRecorder['fact']>[0];

const BOUND_MS = 5000;
/** The tests' cluster is healed with 100 ms a heartbeat, 10 of them a timeout: 200 timeouts and 30 s. */
const HEALED_WITHIN_MS = 230_000;

interface Hash {
  readonly hash: number;
  readonly compactRevision: number;
  readonly hashRevision: number;
}

/** A member that holds what it is told to. */
class Puppet {
  readonly place: number;
  readonly name: string;
  phase = 'ready';
  retired = false;
  damaged = 'no';
  leads = false;
  /** Its index and its revision in one. */
  applied = 10;
  /** By id, seconds. */
  leases = new Map<bigint, number>();
  /** What it makes of its keys. */
  hashOf: (revision: number) => Promise<Hash | string> = (revision) =>
    Promise.resolve({ hash: 7 * revision, compactRevision: -1, hashRevision: revision });
  readonly life = {
    wake: () => {},
    enter: (_kind: string, task: () => void) => {
      task();
      settle();
    },
  };
  private readonly stand: Stand;

  constructor(stand: Stand, place: number) {
    this.stand = stand;
    this.place = place;
    this.name = `m${place}`;
  }

  get server(): unknown {
    if (this.phase === 'down') return undefined;
    const { leads: isLeader, applied, leases } = this;
    return {
      replica: {
        isLeader,
        leaderId: 1n,
        term: 1,
        commitIndex: applied,
        appliedIndex: applied,
        lessor: {
          list: () => [...leases.keys()],
          lookup: (id: bigint) => ({ ttlSeconds: leases.get(id) }),
        },
        state: {
          consistentIndex: applied,
          mvcc: { hashKV: () => this.hashOf(this.applied) },
          membership: { list: () => this.stand.listed() },
        },
      },
    };
  }
}

/** Three members, of whom the first leads; all agree until a test says otherwise. */
class Stand {
  readonly scheduler = new Scheduler(1);
  readonly members = [1, 2, 3].map((place) => new Puppet(this, place));
  readonly options = { heartbeatMs: 100, electionTicks: 10 };
  readonly facts: (Fact & { readonly at: number })[] = [];
  readonly counts = new Map<string, number>();
  readonly clients = { finished: true, describe: () => 'client 2: 1 left', finish: () => {} };
  readonly operator = {
    unsettled: false,
    // Nobody is chosen to stay down.
    mayChange: true,
    truth: () => this.listed(),
    memberAt: (place: number) => this.members.find((member) => member.place === place),
    startIn: () => {},
  };
  readonly wires = { network: { heal: () => {} }, cutOff: new Set<string>() };
  readonly recorder = { fact: (fact: Fact) => void this.facts.push({ ...fact, at: this.scheduler.now }) };
  healed = false;
  private removed = 0;

  constructor() {
    this.first.leads = true;
    this.keepGoing();
  }

  get first(): Puppet {
    return this.members[0];
  }

  get last(): Puppet {
    return this.members[2];
  }

  /** As the simulation's own. */
  get show(): Show {
    return this as unknown as Show;
  }

  get ledger(): { readonly revisionMax: number } {
    return { revisionMax: Math.max(...this.members.map(({ applied }) => applied)) };
  }

  listed(): unknown[] {
    return this.members
      .filter(({ place }) => place !== this.removed)
      .map(({ place }) => ({ id: BigInt(place), peerUrls: [peerUrl(place)], isLearner: false }));
  }

  leader(): Puppet | undefined {
    return this.members.find(({ leads, phase }) => leads && phase !== 'down');
  }

  count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by);
  }

  until(at: number): void {
    while (this.scheduler.now < at) this.step();
  }

  step(): void {
    this.scheduler.next();
    settle();
  }

  at(ms: number, task: () => void): void {
    this.scheduler.later(ms - this.scheduler.now, 'test', 0, task);
  }

  /** The others go on without it, and it knows nothing of that. */
  remove({ place }: Puppet): void {
    this.removed = place;
  }

  /** All members apply one more entry, each after its time. */
  entry(delaysMs: readonly (number | undefined)[], task: (member: Puppet) => void = () => {}): void {
    const { now } = this.scheduler;
    for (const [i, delayMs] of delaysMs.entries()) {
      const member = this.members[i];
      if (delayMs !== undefined)
        this.at(now + delayMs, () => {
          member.applied++;
          task(member);
        });
    }
  }

  private keepGoing(): void {
    this.scheduler.later(10, 'time', 0, () => this.keepGoing());
  }
}

/** From the event loop itself, where promises can be waited for. @returns what it threw, or what it left */
function ended(stand: Stand, run: () => void): Promise<string> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        run();
        resolve(`ended at ${stand.scheduler.now}`);
      } catch (error) {
        if (error instanceof LawBroken) resolve(error.message);
        else reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
  });
}

describe('agree', () => {
  const agreed = (stand: Stand): Promise<string> => ended(stand, () => agree(stand.show, BOUND_MS, () => {}));

  test.each<[string, (stand: Stand) => void, string]>([
    ['all agree', () => {}, 'ended at 100'],
    ['an entry that one applies late', (stand) => stand.entry([10, 20, 340]), 'ended at 400'],
    [
      'one after the other is late',
      (stand) => {
        stand.entry([10, 340, 20]);
        stand.at(250, () => stand.entry([10, 20, 700]));
      },
      'ended at 1000',
    ],
    [
      'one starts late',
      (stand) => {
        stand.last.phase = 'down';
        stand.at(990, () => (stand.last.phase = 'ready'));
      },
      'ended at 1000',
    ],
    [
      'one that never applies stays down for good',
      (stand) => {
        stand.entry([10, 20]);
        stand.last.retired = true;
      },
      'ended at 100',
    ],
    [
      'one that never applies is removed',
      (stand) => {
        stand.entry([10, 20]);
        stand.at(590, () => stand.remove(stand.last));
      },
      'ended at 600',
    ],
  ])('waits for who is late: %s', async (_name, prepare, expected) => {
    const stand = new Stand();
    prepare(stand);
    expect(await agreed(stand)).toBe(expected);
  });

  test.each<[string, (stand: Stand) => void, RegExp]>([
    ['nobody leads', (stand) => (stand.first.leads = false), /^L1: no leader; /],
    ['a client waits', (stand) => (stand.clients.finished = false), /^L2: client 2: 1 left; /],
    ['a change waits', (stand) => (stand.operator.unsettled = true), /^L2: the operator is not done; /],
    ['one is down', (stand) => (stand.last.phase = 'down'), /^L3: m3 is not up; /],
    ['one never applies', (stand) => stand.entry([10, 20]), /^L3: m3 is at 10, not 11; /],
    ['the leader never applies', (stand) => stand.entry([undefined, 20, 20]), /^L3: m2 is at 11, not 10; /],
    ['one applies too late', (stand) => stand.entry([10, 20, BOUND_MS + 1]), /^L3: m3 is at 10, not 11; /],
  ])('does not wait for ever: %s', async (_name, prepare, expected) => {
    const stand = new Stand();
    prepare(stand);
    expect(await agreed(stand)).toMatch(expected);
    expect(stand.scheduler.now).toBe(BOUND_MS);
  });

  test('the first leader is told of once, however often another comes', async () => {
    const stand = new Stand();
    stand.first.leads = false;
    stand.at(450, () => (stand.last.leads = true));
    stand.at(650, () => (stand.last.leads = false));
    stand.at(950, () => (stand.first.leads = true));
    stand.entry([910, 20, 20]);
    const led: number[] = [];
    const run = (): void => agree(stand.show, BOUND_MS, () => void led.push(stand.scheduler.now));
    expect(await ended(stand, run)).toBe('ended at 1000');
    expect(led).toEqual([500]);
  });
});

describe('leasesEnd', () => {
  const over = (stand: Stand): Promise<string> => ended(stand, () => leasesEnd(stand.show));
  const grant = (member: Puppet, count: number, seconds: number): void => {
    for (let id = 1; id <= count; id++) member.leases.set(BigInt(id), seconds);
  };

  test.each<[string, (stand: Stand) => void, string]>([
    ['there is none', () => {}, 'ended at 0'],
    ['longer ones stay', (stand) => grant(stand.first, 3, 7), 'ended at 0'],
    ['others are not asked', (stand) => grant(stand.last, 3, 6), 'ended at 0'],
    [
      'the leader ends the last one',
      (stand) => {
        grant(stand.first, 2, 6);
        stand.at(2500, () => stand.first.leases.delete(1n));
        stand.at(5420, () => stand.first.leases.clear());
      },
      'ended at 5500',
    ],
    [
      'nobody leads for a while',
      (stand) => {
        stand.first.leads = false;
        stand.at(2999, () => (stand.last.leads = true));
      },
      'ended at 3000',
    ],
    [
      'each has its time: the next leader has many',
      (stand) => {
        stand.first.leads = false;
        grant(stand.last, 20, 1);
        stand.at(500, () => (stand.last.leads = true));
        stand.at(44_950, () => stand.last.leases.clear());
      },
      'ended at 45000',
    ],
    [
      'some never end',
      (stand) => grant(stand.first, 2, 6),
      'E2: m1 still has 2 leases of at most 6 s, after 32000 ms',
    ],
    [
      'one never ends',
      (stand) => {
        grant(stand.first, 2, 6);
        stand.at(2500, () => stand.first.leases.delete(1n));
      },
      'E2: m1 still has 1 leases of at most 6 s, after 32000 ms',
    ],
    [
      'nobody leads any more',
      (stand) => {
        grant(stand.first, 1, 6);
        stand.at(2500, () => (stand.first.leads = false));
      },
      'E2: nobody leads who could end leases, after 31000 ms',
    ],
  ])('%s', async (_name, prepare, expected) => {
    const stand = new Stand();
    prepare(stand);
    expect(await over(stand)).toBe(expected);
  });
});

describe('heal', () => {
  const healed = (stand: Stand): Promise<string> => ended(stand, () => heal(stand.show, new Prng(1)));
  /** One lease; each member applies its end after its time. */
  function leaseEnds(stand: Stand, delaysMs: readonly (number | undefined)[]): void {
    for (const { leases } of stand.members) leases.set(1n, 6);
    stand.at(2000, () => stand.entry(delaysMs, ({ leases }) => leases.clear()));
  }
  function hashesOf(stand: Stand): unknown[] {
    return stand.facts.flatMap((fact) => (fact.type === 'hash' ? [[fact.member, fact.revision]] : []));
  }

  test('hashes are taken when the last one has applied the end of the last lease', async () => {
    const stand = new Stand();
    leaseEnds(stand, [10, 450, 20]);
    expect(await healed(stand)).toBe('ended at 14500');
    expect(hashesOf(stand)).toEqual([
      ['m1', 11],
      ['m2', 11],
      ['m3', 11],
    ]);
    expect(stand.facts.at(-1)).toEqual({ type: 'settled', revision: 11, at: 14_500 });
    expect(stand.counts.get('hashesCompared')).toBe(3);
  });

  test('watchers are to know what there was before the quiet, not what comes in it', async () => {
    const stand = new Stand();
    leaseEnds(stand, [10, 20, 30]);
    stand.at(14_000, () => stand.entry([10, 20, 30]));
    expect(await healed(stand)).toBe('ended at 14200');
    expect(stand.ledger.revisionMax).toBe(12);
    expect(stand.facts.at(-1)).toEqual({ type: 'settled', revision: 11, at: 14_200 });
  });

  test('who was removed meanwhile is not compared', async () => {
    const stand = new Stand();
    leaseEnds(stand, [10, 20]);
    stand.at(2005, () => stand.remove(stand.last));
    expect(await healed(stand)).toBe('ended at 14200');
    expect(hashesOf(stand)).toEqual([
      ['m1', 11],
      ['m2', 11],
    ]);
  });

  test.each<[string, (stand: Stand) => void, RegExp]>([
    [
      'a member that never applies the end of a lease',
      (stand) => leaseEnds(stand, [10, 20]),
      /^L3: m3 is at 10, not 11; /,
    ],
    [
      'one that applies it too late',
      (stand) => leaseEnds(stand, [10, 20, HEALED_WITHIN_MS + 1000]),
      /^L3: m3 is at 10, not 11; /,
    ],
    [
      'one that is gone when the lease has ended',
      (stand) => {
        leaseEnds(stand, [10, 20, 30]);
        stand.at(2005, () => (stand.last.phase = 'down'));
      },
      /^L3: m3 is not up; /,
    ],
    [
      'one that makes something else of the same entries',
      (stand) => {
        leaseEnds(stand, [10, 450, 20]);
        stand.last.hashOf = (hashRevision) => Promise.resolve({ hash: 1, compactRevision: -1, hashRevision });
      },
      /^K9: m1: 77 of -1 to 11; m3: 1 of -1 to 11$/,
    ],
    [
      'one that is at another revision by the same entries',
      (stand) => {
        const { hashOf } = stand.last;
        stand.last.hashOf = (revision) => hashOf(revision - 1);
      },
      /^K9: m1: 70 of -1 to 10; m3: 63 of -1 to 9$/,
    ],
    [
      'one whose hash fails',
      (stand) => (stand.last.hashOf = () => Promise.reject(new Error('a page is rotten'))),
      /^K9: m3 tells no hash: Error: a page is rotten$/,
    ],
    [
      'one that refuses its hash',
      (stand) => (stand.last.hashOf = () => Promise.resolve('COMPACTED')),
      /^K9: m3 tells no hash: COMPACTED$/,
    ],
    [
      'one that never tells its hash',
      (stand) => (stand.last.hashOf = () => new Promise(() => {})),
      /^K9: a hash was never told$/,
    ],
    [
      'a lease that nobody ends',
      (stand) => void stand.first.leases.set(1n, 6),
      /^E2: m1 still has 1 leases of at most 6 s, after 31000 ms$/,
    ],
  ])('is not blind to %s', async (_name, prepare, expected) => {
    const stand = new Stand();
    prepare(stand);
    expect(await healed(stand)).toMatch(expected);
    expect(stand.facts.some(({ type }) => type === 'settled')).toBe(false);
  });
});
