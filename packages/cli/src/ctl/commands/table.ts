/** Every command of `keelson ctl`; dispatch and help read this and nothing else. */
import { API_VERSION, ETCD_VERSION } from '../../version.ts';
import type { Command } from '../command.ts';
import { ExitCode } from '../ctl-error.ts';
import { authCommands } from './auth.ts';
import { alarmCommands, compaction, memberList } from './cluster.ts';
import { del } from './del.ts';
import { endpointCommands } from './endpoint.ts';
import { get } from './get.ts';
import { leaseCommands } from './lease.ts';
import { put } from './put.ts';
import { roleCommands } from './role.ts';
import { cad, cas } from './swap.ts';
import { txn } from './txn.ts';
import { userCommands } from './user.ts';
import { watch } from './watch.ts';

const version: Command = {
  path: ['version'],
  usage: '',
  short: 'Prints the version of etcdctl',
  flags: [],
  run({ io }) {
    io.out(`etcdctl version: ${ETCD_VERSION}\nAPI version: ${API_VERSION}\n`);
    return Promise.resolve(ExitCode.Success);
  },
};

/** Words that only group commands, with what they say of themselves. */
export const GROUPS: Readonly<Record<string, string>> = {
  alarm: 'Alarm related commands',
  auth: 'Enable or disable authentication',
  endpoint: 'Endpoint related commands',
  lease: 'Lease related commands',
  member: 'Membership related commands',
  role: 'Role related commands',
  user: 'User related commands',
};

export const COMMANDS: readonly Command[] = [
  ...alarmCommands,
  ...authCommands,
  cad,
  cas,
  compaction,
  del,
  ...endpointCommands,
  get,
  ...leaseCommands,
  memberList,
  put,
  ...roleCommands,
  txn,
  ...userCommands,
  version,
  watch,
].sort((a, b) => (a.path.join(' ') < b.path.join(' ') ? -1 : 1));
