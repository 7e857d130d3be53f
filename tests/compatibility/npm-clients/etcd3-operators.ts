/** The part of the etcd3 session for those who run a cluster: members, maintenance, users and roles. */
import type { Duplex, Etcd3, Etcd3Module, Fields } from './etcd3-api.ts';
import type { Tape } from './tape.ts';
import { record, refusal } from './etcd3-leases.ts';
import { waitUntil } from '../../harness/waiting.ts';

const PATIENCE = { timeoutMs: 30_000 };

interface Member {
  readonly ID: string;
  readonly name: string;
  readonly peerURLs: readonly string[];
}

/** In the order of `ids`, others behind: a cluster lists them by id. */
function inOrder(answer: Fields, ids: readonly string[]): readonly Member[] {
  const place = ({ ID }: Member): number => (ids.indexOf(ID) + ids.length + 1) % (ids.length + 1);
  return [...(answer['members'] as readonly Member[])].sort((a, b) => place(a) - place(b));
}

/** @param ids of the members, the leader's first */
export async function driveCluster(
  tape: Tape,
  client: Etcd3,
  ids: readonly string[],
  port: number,
): Promise<void> {
  const { cluster } = client;
  await tape.step('members', async () => inOrder(await cluster['memberList']({ linearizable: true }), ids));
  const added = await tape.step('add a learner', async () => {
    const answer = await cluster['memberAdd']({ peerURLs: [`http://127.0.0.1:${port}`], isLearner: true });
    const { ID } = answer['member'] as Member;
    tape.name(ID, 'added');
    tape.name(String(port), 'port');
    return { member: answer['member'], members: inOrder(answer, ids).length, ID };
  });
  const ID = added?.ID;
  await tape.step('add it again', () => cluster['memberAdd']({ peerURLs: [`http://127.0.0.1:${port}`] }));
  await tape.step('update it', async () =>
    inOrder(await cluster['memberUpdate']({ ID, peerURLs: [`http://localhost:${port}`] }), ids),
  );
  await tape.step('promote it', () => cluster['memberPromote']({ ID }));
  await tape.step('promote a voter', () => cluster['memberPromote']({ ID: ids[1] }));
  await tape.step('promote nobody', () => cluster['memberPromote']({ ID: '4713' }));
  await tape.step('remove it', async () => inOrder(await cluster['memberRemove']({ ID }), ids));
  await tape.step('remove it again', () => cluster['memberRemove']({ ID }));
  await tape.step('update nobody', () =>
    cluster['memberUpdate']({ ID: '4713', peerURLs: ['http://localhost:1'] }),
  );
}

/** Ends with the lead given away, so it comes last of all at this member. */
export async function driveMaintenance(tape: Tape, client: Etcd3, follower: string): Promise<void> {
  const { maintenance } = client;
  const alarm = (action: string, name: string) => () => maintenance['alarm']({ action, alarm: name });
  await tape.step('alarms', alarm('Get', 'None'));
  await tape.step('raise an alarm', alarm('Activate', 'Nospace'));
  await tape.step('alarms raised', alarm('Get', 'None'));
  await tape.step('put while it is raised', () => client.put('full').value('x'));
  await tape.step('delete while it is raised', () => client.delete().key('full'));
  await tape.step('disarm it', alarm('Deactivate', 'Nospace'));
  await tape.step('alarms again', alarm('Get', 'None'));
  await tape.step('status', () => maintenance['status']());
  await tape.step('hash', async () => Object.keys(await maintenance['hash']()));
  await tape.step('hash of keys in the future', () => maintenance['hashKV']({ revision: 1_000_000 }));
  await tape.step('defragment', () => maintenance['defragment']());
  await tape.step('snapshot', async () => {
    const stream = (await maintenance['snapshot']()) as unknown as Duplex;
    let bytes = 0;
    let last: Fields = {};
    await new Promise<void>((resolve, reject) => {
      stream.on('data', (part) => {
        last = part as Fields;
        bytes += (last['blob'] as Buffer).length;
      });
      stream.on('end', () => resolve());
      stream.on('error', reject);
    });
    // Pages, and the digest behind them.
    return { whole: bytes % 512, left: last['remaining_bytes'] };
  });
  await tape.step('downgrade', () => maintenance['downgrade']({ action: 'VALIDATE', version: '3.6.0' }));
  await tape.step('give the lead to nobody', () => maintenance['moveLeader']({ targetID: '4713' }));
  await tape.step(
    'give the lead away',
    async () => typeof (await maintenance['moveLeader']({ targetID: follower })),
  );
  await tape.step('give away what it no longer has', () => maintenance['moveLeader']({ targetID: follower }));
}

/** @param connect a client of the same member in a user's name */
export async function driveAuth(
  tape: Tape,
  module: Etcd3Module,
  client: Etcd3,
  connect: (username: string, password: string) => Etcd3,
): Promise<void> {
  const role = client.role('reader');
  const range = client.range({ prefix: 'open/' });
  await tape.step('create a role', async () => (await role.create()) === role);
  await tape.step('create it again', () => role.create());
  await tape.step('grant', async () => (await role.grant({ permission: 'Read', range })).name);
  await tape.step(
    'grant several',
    async () =>
      (
        await role.grant([
          { permission: 'Readwrite', key: 'own' },
          { permission: 'Write', key: 'drop' },
        ])
      ).name,
  );
  await tape.step('permissions', () => role.permissions());
  await tape.step('revoke one', async () => (await role.revoke({ permission: 'Write', key: 'drop' })).name);
  await tape.step('revoke it again', () => role.revoke({ permission: 'Write', key: 'drop' }));
  await tape.step('permissions left', () => role.permissions());
  await tape.step('permissions of nobody', () => client.role('nobody').permissions());
  const user = client.user('ann');
  await tape.step('create a user', async () => (await user.create('secret')).name);
  await tape.step('create the user again', () => user.create('secret'));
  await tape.step('another password', async () => (await user.setPassword('better')).name);
  await tape.step('password of nobody', () => client.user('nobody').setPassword('x'));
  await tape.step('give the role', async () => (await user.addRole(role)).name);
  await tape.step('give a role that is none', () => user.addRole('nobody'));
  await tape.step('give it from the other side', () => role.addUser('ann'));
  await tape.step('roles of the user', async () => (await user.roles()).map(({ name }) => name));
  await tape.step('take it from the other side', async () => (await role.removeUser(user)).name);
  await tape.step('take it again', () => user.removeRole(role));
  await tape.step('give it again', async () => (await role.addUser(user)).name);
  await tape.step('users and roles', async () => [
    (await client.getUsers()).map(({ name }) => name),
    (await client.getRoles()).map(({ name }) => name),
  ]);
  await tape.step('enable without root', () => client.auth['authEnable']());
  await client.user('root').create('toor');
  await client.role('root').create();
  await client.user('root').addRole('root');
  await client.put('open/1').value('o');
  await client.put('own').value('p');
  await tape.step('enable', () => client.auth['authEnable']());
  await tape.step('nobody reads', () => client.get('open/1'));
  await tape.step('a wrong password', () => connect('ann', 'worse').get('open/1'));
  const ann = connect('ann', 'better');
  const root = connect('root', 'toor');
  await tape.step('ann reads', () => ann.get('open/1'));
  await tape.step('ann may not write', () => ann.put('open/1').value('x'));
  await tape.step('ann writes', () => ann.put('own').value('x'));
  await tape.step('ann may not read', () => ann.get('closed'));
  await tape.step('ann may not read more', () => ann.getAll().all());
  await tape.step('ann may not in a transaction', () =>
    ann.if('own', 'Version', '>', 0).then(ann.put('closed').value('x')).commit(),
  );
  await tape.step('ann may not watch', () => refusal(ann.watch().key('closed').watcher()));
  await tape.step('ann may not see users', () => ann.getUsers());
  // A client whose watcher was refused makes no second one: it waits behind the first for ever.
  const watched = record(await connect('ann', 'better').watch().prefix('open/').create());
  await tape.step('root writes', () => root.put('open/1').value('q'));
  await waitUntil('ann sees it', PATIENCE, () => watched[0]);
  tape.note('ann watched', watched);
  await tape.step('state of authentication', () => root.auth['authStatus']());
  await tape.step('a token', async () => {
    const { token } = await root.auth['authenticate']({ name: 'ann', password: 'better' });
    // Letters nobody can guess, ours a few more, and the index of an entry.
    return /^[a-zA-Z]{16,}\.\d+$/.test(String(token));
  });
  await tape.step('rights taken while connected', async () => {
    await root.user('ann').removeRole('reader');
    return ann.get('open/1');
  });
  // In a client of its own: 3.4 answers Unknown, which opens the client's circuit breaker.
  await tape.step('ann may not defragment', () => connect('ann', 'better').maintenance['defragment']());
  await tape.step('disable', () => root.auth['authDisable']());
  await tape.step('disable again', () => client.auth['authDisable']());
  await tape.step('delete the user', async () => (await user.delete()).name);
  await tape.step('delete the user again', () => user.delete());
  await tape.step('delete the role', async () => (await role.delete()).name);
  await tape.step('delete the role again', () => role.delete());
  await tape.step('errors by name', () => Object.keys(module).filter((name) => name.startsWith('Etcd')));
}
