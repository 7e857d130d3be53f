/** The part of the etcd3 session that takes time: leases, locks, elections, watchers. */
import { waitUntil } from '../../harness/waiting.ts';
import type { Duplex, Emitter, Etcd3, Fields, Watcher } from './etcd3-api.ts';
import type { Tape } from './tape.ts';

const PATIENCE = { timeoutMs: 30_000 };

export async function driveLeases(tape: Tape, client: Etcd3): Promise<void> {
  const leases = client.leaseClient;
  await tape.step('grant a lease by hand', () => leases['leaseGrant']({ TTL: 600, ID: '7001' }));
  await tape.step('grant it again', () => leases['leaseGrant']({ TTL: 600, ID: '7001' }));
  await tape.step('grant a lease of one second', () => leases['leaseGrant']({ TTL: 1, ID: '7002' }));
  await tape.step('grant a lease of centuries', () =>
    leases['leaseGrant']({ TTL: '9000000001', ID: '7003' }),
  );
  await tape.step('put under it', () => client.put('l/1').value('x').lease('7001'));
  await tape.step('put keeps its lease', () => client.put('l/1').value('y').ignoreLease());
  await tape.step('get shows it', () => client.get('l/1').exec());
  await tape.step('time to live', async () => {
    const { ID, grantedTTL, TTL, keys } = await leases['leaseTimeToLive']({ ID: '7001', keys: true });
    return { ID, grantedTTL, keys, counts: Number(TTL) > 590 && Number(TTL) <= 600 };
  });
  await tape.step('time to live of none', () => leases['leaseTimeToLive']({ ID: '4711' }));
  await tape.step('all leases', async () => {
    const { leases: all } = await leases['leaseLeases']();
    // The one of a second may be gone or not.
    return (all as readonly { readonly ID: string }[]).map(({ ID }) => ID).filter((id) => id === '7001');
  });
  await tape.step('revoke', () => leases['leaseRevoke']({ ID: '7001' }));
  await tape.step('revoke again', () => leases['leaseRevoke']({ ID: '7001' }));
  await tape.step('its key is gone', () => client.get('l/1').exists());
  await tape.step('a stream of keep-alives', async () => {
    const stream = (await leases['leaseKeepAlive']()) as unknown as Duplex;
    const answers: unknown[] = [];
    stream.on('data', (answer) => answers.push(answer));
    stream.write({ ID: '4712' });
    await waitUntil('a keep-alive is answered', PATIENCE, () => answers[0]);
    stream.end();
    return answers;
  });
  await driveLeaseObjects(tape, client);
}

async function driveLeaseObjects(tape: Tape, client: Etcd3): Promise<void> {
  const kept = client.lease(2);
  let keptAlive = 0;
  kept.on('keepaliveSucceeded', () => (keptAlive += 1));
  await tape.step('a lease that is kept', async () => [
    (await kept.grant()).length > 0,
    kept.state,
    kept.revoked(),
  ]);
  await tape.step('put under a kept lease', async () => typeof (await kept.put('l/kept').value('1').exec()));

  const dropped = client.lease(2, { autoKeepAlive: false });
  const lost: unknown[] = [];
  dropped.on('lost', (error) => lost.push(nameOf(error)));
  await tape.step(
    'put under one that is not',
    async () => typeof (await dropped.put('l/dropped').value('1')),
  );
  await tape.step('kept alive once', async () => {
    const { TTL } = await dropped.keepaliveOnce();
    return TTL;
  });
  const watcher = await client.watch().key('l/dropped').withPreviousKV().create();
  await tape.step('it ends', async () => (await next(watcher, 'delete')).length);
  await tape.step('cancel the watcher', () => watcher.cancel());
  await tape.step('its key ended with it', () => client.get('l/dropped').exists());
  await tape.step('kept alive too late', async () => {
    try {
      return await dropped.keepaliveOnce();
    } catch (error) {
      return nameOf(error);
    }
  });
  tape.note('lost', [lost, dropped.revoked()]);
  await tape.step('put under a lost one', async () => {
    try {
      return await dropped.put('l/late').value('x');
    } catch (error) {
      return nameOf(error);
    }
  });
  await waitUntil('the kept lease was kept alive for longer than it would live', PATIENCE, () =>
    keptAlive > 4 ? true : undefined,
  );
  await tape.step('the kept one lives', () => client.get('l/kept').exists());
  await tape.step('revoke it', () => kept.revoke());
  await tape.step('and its key is gone', async () => [await client.get('l/kept').exists(), kept.revoked()]);
  const released = client.lease(600);
  await tape.step('release', async () => {
    await released.grant();
    released.release();
    return released.revoked();
  });
  await tape.step('a lease of no time', () => client.lease(0));
}

export async function driveLocks(tape: Tape, client: Etcd3): Promise<void> {
  const mine = client.lock('lock/1').ttl(60).options({});
  const theirs = client.lock('lock/1');
  await tape.step('no lease before', () => theirs.leaseId());
  await tape.step('acquire', async () => (await mine.acquire()) === mine);
  await tape.step('it has a lease', async () => (await mine.leaseId()) !== null);
  await tape.step('acquire what is taken', () => theirs.acquire());
  await tape.step('release', () => mine.release());
  await tape.step('acquire what is free', async () => (await theirs.acquire()) === theirs);
  await tape.step('release that', () => theirs.release());
  await tape.step('do', () => client.lock('lock/2').do(() => client.get('lock/2').exists()));
  await tape.step('do what fails', () =>
    client.lock('lock/2').do(() => {
      throw new Error('inside');
    }),
  );
  await tape.step('one at a time', async () => {
    let inside = 0;
    let most = 0;
    let failed = 0;
    const turn = async (): Promise<void> => {
      inside += 1;
      most = Math.max(most, inside);
      await client.put('lock/seen').value(inside);
      inside -= 1;
    };
    for (let left = 10; left > 0;) {
      const outcomes = await Promise.allSettled(
        Array.from({ length: left }, () => client.lock('lock/3').do(turn)),
      );
      const refused = outcomes.filter(({ status }) => status === 'rejected').length;
      failed += refused;
      left = refused;
    }
    return { most, failed: failed > 0 };
  });
  await tape.step('nothing is left locked', () => client.getAll().prefix('lock/').keys());
}

export async function driveElections(tape: Tape, client: Etcd3): Promise<void> {
  const election = client.election('boss', 30);
  await tape.step('nobody leads', () => election.leader());
  const observer = await election.observe();
  const changes: unknown[] = [];
  observer.on('change', (value) => changes.push(value));
  await tape.step('observed', () => [observer.hasLeader, observer.leader()]);
  const first = election.campaign('one');
  await tape.step('the first leads', async () => typeof (await first.wait()));
  await tape.step('its key', async () => (await first.getCampaignKey()).startsWith('election/boss/'));
  // Where two arrive in one answer, the client takes the last for the one that leads.
  await waitUntil(
    'the observer hears of the first',
    PATIENCE,
    () => observer.leader() === 'one' || undefined,
  );
  const second = election.campaign('two');
  await tape.step('it is one', async () => [await election.leader(), await election.leader('buffer')]);
  await tape.step('it says another word', () => first.proclaim('uno'));
  await tape.step('it is uno', () => election.leader());
  await waitUntil('the observer hears of it', PATIENCE, () => observer.leader() === 'uno' || undefined);
  const elected = second.wait();
  await tape.step('it resigns', () => first.resign());
  await tape.step('the second leads', async () => typeof (await elected));
  await waitUntil('the observer hears of that', PATIENCE, () => observer.leader() === 'two' || undefined);
  await tape.step('a word after resigning', () => first.proclaim('again'));
  await tape.step('observed again', () => [observer.hasLeader, observer.leader('buffer')]);
  await second.resign();
  await tape.step('nobody leads again', () => election.leader());
  await waitUntil('the observer hears that nobody leads', PATIENCE, () => !observer.hasLeader || undefined);
  await tape.step('stop observing', () => observer.cancel());
  tape.note('what was observed', changes);
}

export async function driveWatchers(tape: Tape, client: Etcd3): Promise<void> {
  const put = async (key: string, value: string): Promise<string> =>
    ((await client.put(key).value(value)) as { readonly header: { readonly revision: string } }).header
      .revision;
  const from = await put('w/0', 'before');
  const prefix = client.watch().prefix('w/').withPreviousKV().watcher();
  const heard = record(prefix);
  await waitUntil('the watcher is there', PATIENCE, () => heard[0]);
  tape.note('its id', [prefix.id, Number(prefix.lastRevision()) > 0]);
  const onlyPuts = record(await client.watch().prefix('w/').only('put').create());
  // The client means by it what it means by `only`.
  const ignored = record(await client.watch().prefix('w/').ignore('delete').create());
  const onlyDeletes = record(
    await client.watch().inRange({ start: 'w/', end: 'w0' }).only('delete').create(),
  );
  const history = record(await client.watch().key('w/0').startRevision(from).create());
  const inside = record(await client.namespace('w/').watch().prefix('').create());
  await put('w/1', 'a');
  await put('w/1', 'b');
  await client.delete().key('w/1');
  await client.delete().prefix('w/');
  await client
    .if('w/1', 'Create', '==', 0)
    .then(client.put('w/2').value('c'), client.put('w/3').value('d'))
    .commit();
  for (const [name, events, count] of [
    ['a prefix', heard, 7],
    ['only puts', onlyPuts, 4],
    ['only deletes', onlyDeletes, 2],
    ['what is ignored', ignored, 2],
    ['a key from a revision', history, 2],
    ['a namespace', inside, 6],
  ] as const) {
    await waitUntil(`${name} has seen it all`, PATIENCE, () => events.length >= count || undefined);
    tape.note(`watched: ${name}`, events);
  }
  await tape.step('cancel', () => prefix.cancel());
  await tape.step('a revision compacted', async () => {
    const now = await put('w/c', '1');
    await client.kv['compact']({ revision: now, physical: true });
    return refusal(client.watch().key('w/0').startRevision('1').watcher());
  });
  await tape.step('read what was compacted', () => client.get('w/c').revision(1));
  await tape.step('compact it again', () => client.kv['compact']({ revision: 1 }));
  await tape.step('a stream by hand', async () => {
    const stream = (await client.watchClient['watch']()) as unknown as Duplex;
    const answers: Fields[] = [];
    stream.on('data', (answer) => answers.push(answer as Fields));
    stream.on('error', () => {});
    for (const message of [
      { create_request: { key: Buffer.from('w/'), watch_id: 9 } },
      { create_request: { key: Buffer.from('w/'), watch_id: 9 } },
      { create_request: { key: Buffer.from('w/') } },
      { cancel_request: { watch_id: 9 } },
    ]) {
      const count = answers.length;
      stream.write(message);
      await waitUntil('an answer', PATIENCE, () => answers[count]);
    }
    stream.cancel();
    return answers;
  });
}

/** What a watcher says, as it is said. */
export function record(watcher: Watcher): unknown[] {
  const heard: unknown[] = [];
  watcher.on('connected', () => heard.push('connected'));
  watcher.on('put', (kv, previous) => heard.push({ put: kv, previous }));
  watcher.on('delete', (kv, previous) => heard.push({ delete: kv, previous }));
  watcher.on('error', (error) => heard.push(`${nameOf(error)}: ${(error as Error).message}`));
  watcher.on('end', () => heard.push('end'));
  return heard;
}

/** What a watcher says until it is refused. */
export async function refusal(watcher: Watcher): Promise<unknown[]> {
  const heard = record(watcher);
  await next(watcher, 'error');
  return heard;
}

function next(emitter: Emitter, event: string): Promise<unknown[]> {
  return new Promise((resolve) => {
    emitter.on(event, (...values) => resolve(values));
  });
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.constructor.name : typeof error;
}
