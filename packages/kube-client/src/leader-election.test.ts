import { describe, expect, test } from '@jest/globals';
import { Prng, silentLogger } from '@keelson/base';

import { HandClock, settled } from '../test/hand-clock.ts';
import { failure, ScriptedTransport, type Asked, type Scripted } from '../test/scripted-transport.ts';
import { LeaderElection } from './leader-election.ts';
import { MetricSet } from './metrics.ts';
import { isKubeObject, isRecord, type KubeObject } from './objects.ts';
import { RestClient } from './rest-client.ts';

/** A server with one Lease, which refuses what was not made of its newest state. */
class LeaseServer {
  readonly transport = new ScriptedTransport();
  lease: KubeObject | undefined;
  /** No answers. */
  down = false;
  private version = 0;

  constructor() {
    this.transport.otherwise = (asked) => this.answer(asked);
  }

  get spec(): Readonly<Record<string, unknown>> {
    return isRecord(this.lease?.['spec']) ? this.lease['spec'] : {};
  }

  private answer({ method, body }: Asked): Scripted {
    if (this.down) return { broken: 'nobody is there' };
    if (method === 'GET') {
      return this.lease === undefined
        ? { code: 404, json: failure(404, 'NotFound', 'no lease') }
        : { json: this.lease };
    }
    if (!isKubeObject(body)) throw new Error('no body');
    const before = this.lease?.metadata.resourceVersion;
    if (method === 'POST' ? this.lease !== undefined : before !== body.metadata.resourceVersion) {
      return { code: 409, json: failure(409, method === 'POST' ? 'AlreadyExists' : 'Conflict', 'changed') };
    }
    this.version += 1;
    this.lease = { ...body, metadata: { ...body.metadata, resourceVersion: String(this.version) } };
    return { json: this.lease };
  }
}

class Candidate {
  readonly election: LeaderElection;
  /** Of each term, whether it lasts. */
  readonly terms: AbortSignal[] = [];
  readonly metrics = new MetricSet();

  constructor(server: LeaseServer, clock: HandClock, identity: string) {
    this.election = new LeaderElection({
      client: new RestClient({
        transport: server.transport,
        clock,
        metrics: this.metrics,
        userAgent: identity,
      }),
      clock,
      prng: new Prng(identity.charCodeAt(0)),
      logger: silentLogger,
      metrics: this.metrics,
      namespace: 'kube-system',
      name: 'loops',
      identity,
    });
    this.election.start(
      (signal) =>
        new Promise((resolve) => {
          this.terms.push(signal);
          signal.addEventListener('abort', () => resolve(), { once: true });
        }),
    );
  }

  get leads(): boolean {
    return this.terms.some((term) => !term.aborted);
  }
}

describe('leader election', () => {
  test('the first one leads and renews; the second waits', async () => {
    const clock = new HandClock();
    const server = new LeaseServer();
    const a = new Candidate(server, clock, 'a');
    await settled();
    const b = new Candidate(server, clock, 'b');
    await clock.advance(60_000);
    expect([a.leads, b.leads, b.election.leader]).toEqual([true, false, 'a']);
    expect(server.spec).toMatchObject({ holderIdentity: 'a', leaseDurationSeconds: 15, leaseTransitions: 0 });
    expect(server.spec['renewTime']).not.toBe(server.spec['acquireTime']);
    expect(a.metrics.text()).toContain('leader_election_master_status{name="loops"} 1\n');
    expect(b.metrics.text()).toContain('leader_election_master_status{name="loops"} 0\n');
    await Promise.all([a.election.stop(), b.election.stop()]);
    expect(clock.timers).toBe(0);
  });

  test('a leader costs one request in two seconds', async () => {
    const clock = new HandClock();
    const server = new LeaseServer();
    const a = new Candidate(server, clock, 'a');
    await settled();
    const before = server.transport.asked.length;
    await clock.advance(20_000);
    expect(server.transport.asked.length - before).toBe(10);
    await a.election.stop();
  });

  test('who stops gives the lease back, and the other leads at once', async () => {
    const clock = new HandClock();
    const server = new LeaseServer();
    const a = new Candidate(server, clock, 'a');
    await settled();
    const b = new Candidate(server, clock, 'b');
    await settled();
    await a.election.stop();
    expect([a.leads, server.spec['holderIdentity']]).toEqual([false, '']);
    await clock.advance(5_000);
    expect([b.leads, server.spec['leaseTransitions']]).toEqual([true, 1]);
    await b.election.stop();
  });

  test('the lease of one that vanished is taken when it has run out on the clock of who takes it', async () => {
    const clock = new HandClock();
    const server = new LeaseServer();
    server.lease = {
      metadata: { name: 'loops', resourceVersion: '7' },
      // Of a machine whose clock is years ahead.
      spec: {
        holderIdentity: 'gone',
        leaseDurationSeconds: 15,
        renewTime: '2099-01-01T00:00:00.000000Z',
        leaseTransitions: 3,
      },
    };
    server['version'] = 7;
    const b = new Candidate(server, clock, 'b');
    await clock.advance(14_900);
    expect(b.leads).toBe(false);
    await clock.advance(6_000);
    expect([b.leads, server.spec['leaseTransitions']]).toEqual([true, 4]);
    await b.election.stop();
  });

  test('a leader cut off ends its work before anybody else may begin, and leads again later', async () => {
    const clock = new HandClock();
    const server = new LeaseServer();
    const a = new Candidate(server, clock, 'a');
    await clock.advance(3_000);
    server.down = true;
    // Its last renewal was at 2 s.
    await clock.advance(8_900);
    expect(a.leads).toBe(true);
    await clock.advance(200);
    expect(a.leads).toBe(false);
    server.down = false;
    await clock.advance(20_000);
    expect([a.leads, a.terms.length]).toEqual([true, 2]);
    await a.election.stop();
  });

  test('never do two lead, whatever fails', async () => {
    const prng = new Prng(42);
    const clock = new HandClock();
    const server = new LeaseServer();
    const candidates = ['a', 'b', 'c'].map((identity) => new Candidate(server, clock, identity));
    let led = 0;
    for (let i = 0; i < 400; i += 1) {
      if (prng.chance(1, 12)) server.down = !server.down;
      await clock.advance(prng.between(50, 1_500));
      const leaders = candidates.filter(({ leads }) => leads).length;
      expect(leaders).toBeLessThanOrEqual(1);
      led += leaders;
    }
    expect(led).toBeGreaterThan(50);
    server.down = false;
    await Promise.all(candidates.map(({ election }) => election.stop()));
    expect(server.spec['holderIdentity']).toBe('');
  });
});
