/**
 * Drives every public method of the npm client `etcd3` against three members of one server, in a process of its own,
 * and prints what it saw as JSON, for etcd3.ts to compare.
 *
 *   node tests/compatibility/npm-clients/etcd3-session.ts --package DIR --server PATH [--flag=--NAME=VALUE …]
 */
import { parseArgs } from 'node:util';
import { ProcessCluster } from '../../harness/process-cluster.ts';
import { freePorts } from '../../../packages/base/test/free-ports.ts';
import { waitUntil } from '../../harness/waiting.ts';
import { loadEtcd3, type Etcd3, type Etcd3Module, type Fields } from './etcd3-api.ts';
import { driveKeys } from './etcd3-keys.ts';
import { driveElections, driveLeases, driveLocks, driveWatchers, record } from './etcd3-leases.ts';
import { driveAuth, driveCluster, driveMaintenance } from './etcd3-operators.ts';
import { MethodCount, Tape, type Step } from './tape.ts';

export interface Session {
  readonly steps: readonly Step[];
  /** "Class.method" of the package. */
  readonly methods: readonly string[];
  readonly uncalled: readonly string[];
}

const PATIENCE = { timeoutMs: 30_000, everyMs: 50 };

async function runSession(cluster: ProcessCluster, directory: string, tape: Tape): Promise<Session> {
  const module = loadEtcd3(directory);
  const methods = new MethodCount(directory, module);
  const open: Etcd3[] = [];
  const connect = (indexes: readonly number[], more: Fields = {}): Etcd3 => {
    const client = new module.Etcd3({ hosts: indexes.map((i) => cluster.members[i].clientUrl), ...more });
    open.push(client);
    return client;
  };
  const leader = await cluster.leader();
  const [follower, other] = [0, 1, 2].filter((i) => i !== leader);
  const client = connect([leader]);
  const ids = await nameMembers(tape, cluster, client, [leader, follower, other]);

  await driveKeys(tape, module, client);
  await tape.step('hash of all keys', () => client.maintenance['hashKV']({ revision: 0 }));
  await tape.step('hash of keys as they were', () => client.maintenance['hashKV']({ revision: 10 }));
  await driveLeases(tape, client);
  await driveLocks(tape, client);
  await driveElections(tape, client);
  await driveWatchers(tape, client);
  await driveAuth(tape, module, client, (username, password) =>
    connect([leader], { auth: { username, password } }),
  );
  await driveReconnection(tape, cluster, client, connect([follower]), follower);
  const [port] = await freePorts(1);
  await driveCluster(tape, client, ids, port);
  await driveMaintenance(tape, client, ids[1]);
  await driveFailover(tape, cluster, connect([0, 1, 2]));
  await driveTheRest(tape, module, client);
  for (const one of open) one.close();
  await tape.step('after close', () => client.get('k/a'));
  return { steps: tape.steps, methods: methods.all, uncalled: methods.uncalled };
}

/** @returns their ids, in the order of `indexes` */
async function nameMembers(
  tape: Tape,
  cluster: ProcessCluster,
  client: Etcd3,
  indexes: readonly number[],
): Promise<string[]> {
  const answer = await client.cluster['memberList']({});
  const members = answer['members'] as readonly { readonly ID: string; readonly name: string }[];
  tape.name((answer['header'] as { readonly cluster_id: string }).cluster_id, 'cluster');
  return indexes.map((index, i) => {
    const { name, address, peerUrl } = cluster.members[index];
    const ID = members.find((member) => member.name === name)?.ID ?? '';
    const role = ['leader', 'follower', 'other'][i];
    tape.name(ID, role);
    tape.name(address, `client ${role}`);
    tape.name(peerUrl, `peer ${role}`);
    // Members are listed by name, which says nothing of who leads.
    tape.name(`"${name}"`, 'name');
    return ID;
  });
}

/** A watcher at a member that dies and comes back misses nothing and hears nothing twice. */
async function driveReconnection(
  tape: Tape,
  cluster: ProcessCluster,
  client: Etcd3,
  watching: Etcd3,
  member: number,
): Promise<void> {
  const watcher = await watching.watch().prefix('r/').create();
  const events: unknown[] = [];
  let disconnected = 0;
  let connected = 0;
  watcher.on('disconnected', () => (disconnected += 1));
  watcher.on('connected', () => (connected += 1));
  for (const event of ['put', 'delete']) watcher.on(event, (kv) => events.push({ [event]: kv }));
  await client.put('r/1').value('before');
  await waitUntil('the first is seen', PATIENCE, () => events[0]);
  await cluster.members[member].kill();
  await waitUntil('the watcher is cut off', PATIENCE, () => disconnected > 0 || undefined);
  await client.put('r/2').value('while it is down');
  await client.delete().key('r/1');
  cluster.members[member].start();
  await cluster.healthy();
  await client.put('r/3').value('after');
  await waitUntil('the watcher is back', PATIENCE, () => connected > 0 || undefined);
  await waitUntil('all is seen', PATIENCE, () => events.length >= 4 || undefined);
  tape.note('watched over a death', events);
  await tape.step('cancel what came back', () => watcher.cancel());
}

/** One of three dies: a client of all three goes on. */
async function driveFailover(tape: Tape, cluster: ProcessCluster, client: Etcd3): Promise<void> {
  const heard = record(await client.watch().prefix('f/').create());
  await client.put('f/1').value('before');
  await waitUntil('the first is seen', PATIENCE, () => heard.length > 0 || undefined);
  await cluster.members[await cluster.leader()].kill();
  // The client gives up after a few attempts, which a new election may outlast.
  await waitUntil('a put after the leader died', PATIENCE, async () => {
    await client.put('f/2').value('after');
    return true;
  });
  // It may be said twice: a put that failed under the client's hands is tried again by it, and may have been done.
  await waitUntil('what came after is seen', PATIENCE, () => heard.length > 1 || undefined);
  await tape.step('read after the leader died', () => client.getAll().prefix('f/'));
}

async function driveTheRest(tape: Tape, module: Etcd3Module, client: Etcd3): Promise<void> {
  await tape.step('a mock', async () => {
    client.mock({ exec: () => Promise.resolve({ kvs: [{ key: 'k', value: Buffer.from('mocked') }] }) });
    const answer = await client.get('k').string();
    client.unmock();
    return answer;
  });
  await tape.step('nobody listens', () =>
    new module.Etcd3({ hosts: 'http://127.0.0.1:1' }).get('k').options({ deadline: Date.now() + 5000 }),
  );
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      package: { type: 'string', default: '' },
      server: { type: 'string', default: '' },
      flag: { type: 'string', multiple: true, default: [] },
    },
  });
  const cluster = await ProcessCluster.start({ binary: values.server, flags: values.flag });
  const tape = new Tape();
  // Its time is over: whoever waits wants to know where it stands, and no server may stay.
  process.once('SIGTERM', () => {
    process.stderr.write(
      `ended after ${tape.steps.length} steps, behind "${tape.steps.at(-1)?.name}"\n${cluster.logTails(5)}\n`,
    );
    void cluster.dispose().finally(() => process.exit(1));
  });
  let failure: string | undefined;
  try {
    const session = await runSession(cluster, values.package, tape);
    await new Promise((resolve) => {
      process.stdout.write(JSON.stringify(session), resolve);
    });
  } catch (error) {
    failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`${cluster.logTails(5)}\nbehind "${tape.steps.at(-1)?.name}": ${failure}\n`);
  }
  await cluster.dispose();
  // Timers of a client that was not closed would keep this process.
  process.exit(failure === undefined ? 0 : 1);
}
