/** Every command of `keelson ctl`; dispatch, help and completion read this and nothing else. */
import type { Command } from '../command.ts';
import { authCommands } from './auth.ts';
import { checkCommands } from './check.ts';
import { alarmCommands, compaction } from './cluster.ts';
import { del } from './del.ts';
import { elect } from './elect.ts';
import { endpointCommands } from './endpoint.ts';
import { get } from './get.ts';
import { leaseCommands } from './lease.ts';
import { lock } from './lock.ts';
import { makeMirror } from './make-mirror.ts';
import { memberCommands } from './member.ts';
import { ownWords } from './own-words.ts';
import { put } from './put.ts';
import { roleCommands } from './role.ts';
import { snapshotSave } from './snapshot.ts';
import { cad, cas } from './swap.ts';
import { top } from './top.ts';
import { txn } from './txn.ts';
import { defrag, downgradeCommands, moveLeader } from './upkeep.ts';
import { userCommands } from './user.ts';
import { watch } from './watch.ts';

/** Words that only group commands, with what they say of themselves. */
export const GROUPS: Readonly<Record<string, string>> = {
  alarm: 'Alarm related commands',
  auth: 'Enable or disable authentication',
  check: 'commands for checking properties of the etcd cluster',
  downgrade: 'Downgrade related commands. Use `etcdctl downgrade --help` to see subcommands',
  endpoint: 'Endpoint related commands',
  lease: 'Lease related commands',
  member: 'Membership related commands',
  role: 'Role related commands',
  snapshot: 'Manages etcd node snapshots',
  user: 'User related commands',
};

export const COMMANDS: readonly Command[] = [
  ...alarmCommands,
  ...authCommands,
  cad,
  cas,
  ...checkCommands,
  compaction,
  defrag,
  del,
  ...downgradeCommands,
  elect,
  ...endpointCommands,
  get,
  ...leaseCommands,
  lock,
  makeMirror,
  ...memberCommands,
  moveLeader,
  ...ownWords,
  put,
  ...roleCommands,
  snapshotSave,
  top,
  txn,
  ...userCommands,
  watch,
].sort((a, b) => (a.path.join(' ') < b.path.join(' ') ? -1 : 1));

/** Commands that etcdctl does not have: an abbreviation never means one of them. */
export const OWN: readonly string[] = ['cad', 'cas', 'top'];

/** How the program's help orders what there is. */
export const SECTIONS: readonly { readonly title: string; readonly names: readonly string[] }[] = [
  {
    title: 'Key-value commands',
    names: ['compaction', 'del', 'get', 'lease', 'put', 'txn', 'watch'],
  },
  {
    title: 'Cluster maintenance commands',
    names: ['alarm', 'defrag', 'downgrade', 'endpoint', 'member', 'move-leader', 'snapshot'],
  },
  { title: 'Concurrency commands', names: ['elect', 'lock'] },
  { title: 'Authentication commands', names: ['auth', 'role', 'user'] },
  {
    title: 'Utility commands',
    names: ['check', 'completion', 'help', 'make-mirror', 'options', 'version'],
  },
  { title: "Keelson's own commands", names: OWN },
];
