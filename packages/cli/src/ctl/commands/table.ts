/** Every command of `keelson ctl`; dispatch and help read this and nothing else. */
import { API_VERSION, ETCD_VERSION } from '../../version.ts';
import type { Command } from '../command.ts';
import { ExitCode } from '../ctl-error.ts';
import { alarmCommands, compaction, memberList } from './cluster.ts';
import { del } from './del.ts';
import { endpointCommands } from './endpoint.ts';
import { get } from './get.ts';
import { leaseCommands } from './lease.ts';
import { put } from './put.ts';
import { cad, cas } from './swap.ts';
import { txn } from './txn.ts';
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
  endpoint: 'Endpoint related commands',
  lease: 'Lease related commands',
  member: 'Membership related commands',
};

export const COMMANDS: readonly Command[] = [
  ...alarmCommands,
  cad,
  cas,
  compaction,
  del,
  ...endpointCommands,
  get,
  ...leaseCommands,
  memberList,
  put,
  txn,
  version,
  watch,
].sort((a, b) => (a.path.join(' ') < b.path.join(' ') ? -1 : 1));
