/**
 * Bugs of revisions, leases and permissions that etcd had: a revision that goes down, a lease that a leader of old takes away, and
 * what users are told who may not know it.
 */
import type { Response } from '@keelson/sim';
import { TamperedSyncs } from '../../harness/syscalls.ts';
import { pause, waitUntil } from '../../harness/waiting.ts';
import { transaction } from '../blackbox/load.ts';
import { must, type Scenario, type Stage } from './stage.ts';

/** Rows of the store are an exact multiple of it, so that the last batch is empty and comes late. */
const BATCH = 10;

export const REVISION_DECREASES: Scenario = {
  name: 'revision-decreases',
  issue: '#17780',
  law: 'K3',
  what: 'kill -9 while a compaction that takes the newest revisions away is not finished',
  members: 1,
  flags: { 'compaction-batch-limit': `${BATCH}` },
  async run(stage) {
    const { field } = stage;
    const member = field.name(0);
    const client = stage.client();
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 2 * BATCH - 1; i++)
        await client.ask(member, { kind: 'put', key: 'k', value: `${i}` });
      const { revision = 0 } = must(await client.ask(member, { kind: 'delete', key: 'k' }), 'delete');
      await pause(250);
      must(await client.ask(member, { kind: 'compact', revision }), 'compact');
      await pause(12 + 12 * round);
      await field.kill(0);
      field.start(0);
      await field.cluster.healthy();
      await client.ask(member, { kind: 'range', key: 'k' });
      await client.ask(member, { kind: 'put', key: 'after', value: `${round}` });
      await client.ask(member, { kind: 'delete', key: 'after' });
    }
    await stage.settle(200);
  },
};

export const OLD_LEADER_REVOKES: Scenario = {
  name: 'old-leader-revokes',
  issue: '#15247',
  law: 'E1',
  what: "a leader's disk hangs until another leads, and a lease that the other keeps alive runs out in its book",
  members: 3,
  flags: {},
  async run(stage) {
    const { field } = stage;
    const leader = await waitUntil('there is a leader', { timeoutMs: 10_000 }, () => field.leader());
    const others = field.everyone.filter((i) => i !== leader).map((i) => field.name(i));
    const client = stage.client(0, undefined, 1500);
    const { id } = must(await client.ask(others[0], { kind: 'leaseGrant', ttl: 5 }), 'leaseGrant');
    must(await client.ask(others[0], { kind: 'put', key: 'k', value: '1', lease: id }), 'put');
    const { pid } = field.member(leader);
    if (pid === undefined) throw new Error('the leader does not run');
    const slow = await TamperedSyncs.of(pid, { delayMs: 9000 });
    field.tampered.add(slow);
    void client.ask(others[1], { kind: 'put', key: 'other', value: '1' });
    for (const untilMs = performance.now() + 13_000; performance.now() < untilMs;) {
      await client.ask(others[0], { kind: 'leaseKeepAlive', id });
      await pause(300);
    }
    await slow.detach();
    field.tampered.delete(slow);
    for (let i = 0; i < 6; i++) {
      await client.ask(others[0], { kind: 'leaseKeepAlive', id });
      await client.ask(others[0], { kind: 'leaseTimeToLive', id, keys: true });
      await client.ask(others[0], { kind: 'range', key: 'k' });
      await pause(300);
    }
    await stage.settle(100);
  },
};

/** root, and `guest`, who may do `permission` below "g/". Authentication is on, and whoever asks has a name. */
async function withGuest(
  stage: Stage,
  permission: 'read' | 'write',
): Promise<(user: string) => ReturnType<Stage['client']>> {
  const member = stage.field.name(0);
  const setup = stage.client();
  const ask = async (request: Parameters<typeof setup.ask>[1]): Promise<Response> => {
    const answer = await setup.ask(member, request);
    if (answer === undefined) throw new Error(`${request.kind} was refused`);
    return answer;
  };
  await ask({ kind: 'userAdd', user: 'root' });
  await ask({ kind: 'userGrantRole', user: 'root', role: 'root' }).catch(async () => {
    await ask({ kind: 'roleAdd', role: 'root' });
    await ask({ kind: 'userGrantRole', user: 'root', role: 'root' });
  });
  await ask({ kind: 'roleAdd', role: 'guests' });
  await ask({ kind: 'roleGrantPermission', role: 'guests', permission, key: 'g/', end: 'g0' });
  await ask({ kind: 'userAdd', user: 'guest' });
  await ask({ kind: 'userGrantRole', user: 'guest', role: 'guests' });
  await ask({ kind: 'authEnable' });
  let number = 1;
  return (user) => {
    const client = stage.client(number++, user);
    client.authenticate(true);
    return client;
  };
}

export const LEASE_TELLS_KEYS: Scenario = {
  name: 'lease-tells-keys',
  issue: '#15814',
  law: 'A3',
  what: 'a user who may not read a key asks a lease for its keys',
  members: 1,
  flags: {},
  async run(stage) {
    const member = stage.field.name(0);
    const login = await withGuest(stage, 'read');
    const root = login('root');
    const { id } = must(await root.ask(member, { kind: 'leaseGrant', ttl: 600 }), 'leaseGrant');
    must(await root.ask(member, { kind: 'put', key: 'secret', value: '1', lease: id }), 'put');
    const told = await login('guest').ask(member, { kind: 'leaseTimeToLive', id, keys: true });
    if (told?.kind === 'leaseTimeToLive' && told.keys?.includes('secret') === true) {
      stage.seen.push('A3: a lease told a guest of a key that the guest may not read');
    }
  },
};

export const TXN_TELLS_VALUES: Scenario = {
  name: 'txn-tells-values',
  issue: 'CVE-2026-44283',
  law: 'A2',
  what: 'a user who may write a key but not read it puts it in a transaction and asks what was there before',
  members: 1,
  flags: {},
  async run(stage) {
    const member = stage.field.name(0);
    const login = await withGuest(stage, 'write');
    must(await login('root').ask(member, { kind: 'put', key: 'g/1', value: 'secret' }), 'put');
    const told = await login('guest').ask(
      member,
      transaction([], [{ kind: 'put', key: 'g/1', value: '2', prevKv: true }]),
    );
    const [first] = told?.kind === 'txn' ? (told.responses ?? []) : [];
    if (first?.kind === 'put' && first.prev?.value === 'secret') {
      stage.seen.push('A2: a transaction told a guest the value of a key that the guest may not read');
    }
  },
};
