/** endpoint health, status and hashkv: each endpoint by itself, those of --endpoints or of the whole cluster. */
import { EtcdError } from '@keelson/client';
import type { etcdserverpb } from '@keelson/proto';
import type { FlagSpec } from '../../flags.ts';
import { formatDurationMs } from '../../go-text.ts';
import type { Command, CommandContext } from '../command.ts';
import { CtlError, ExitCode } from '../ctl-error.ts';
import type { EndpointHashKV, EndpointHealth, EndpointStatus } from '../printers/printer.ts';
import { alarmName } from '../printers/simple.ts';
import { errorText } from './lease.ts';

export const CLUSTER_FLAG: FlagSpec = {
  name: 'cluster',
  kind: 'bool',
  initial: 'false',
  usage: 'use all endpoints from the cluster member list',
};

/** Those of --endpoints, or with --cluster those that the members announce. @throws CtlError */
export async function endpointsOf({ flags, endpoints, client }: CommandContext): Promise<readonly string[]> {
  if (!flags.bool('cluster')) return endpoints;
  try {
    const { members } = await client().cluster.memberList();
    return members.flatMap((member) => member.clientURLs);
  } catch (error) {
    if (!(error instanceof EtcdError)) throw error;
    const text = `failed to fetch endpoints from etcd cluster member list: ${errorText(error)}`;
    throw new CtlError(ExitCode.Error, text, error);
  }
}

const health: Command = {
  path: ['endpoint', 'health'],
  usage: '',
  short: 'Checks the healthiness of endpoints specified in `--endpoints` flag',
  flags: [CLUSTER_FLAG],
  async run(context) {
    const endpoints = await endpointsOf(context);
    const list: EndpointHealth[] = [];
    // In the order in which they answer, as etcdctl.
    await Promise.all(
      endpoints.map(async (endpoint) => {
        list.push(await healthOf(context, endpoint));
      }),
    );
    context.printer.endpointHealth(list);
    if (list.some((item) => !item.healthy)) throw new CtlError(ExitCode.Error, 'unhealthy cluster');
    return ExitCode.Success;
  },
};

/** A linearizable read, which is answered only when a quorum is; and no alarm may be raised. */
async function healthOf(context: CommandContext, endpoint: string): Promise<EndpointHealth> {
  const client = context.clientOf([endpoint]);
  const startMs = performance.now();
  let error = '';
  try {
    await client.kv.get('health');
  } catch (reason) {
    if (!(reason instanceof EtcdError)) throw reason;
    // Being refused takes a quorum too.
    if (reason.reason !== 'PERMISSION_DENIED') error = errorText(reason);
  }
  const took = formatDurationMs(performance.now() - startMs);
  try {
    if (error === '') error = alarmText(await client.maintenance.alarms());
  } catch (reason) {
    if (!(reason instanceof EtcdError)) throw reason;
    error = 'Unable to fetch the alarm list';
  } finally {
    client.close();
  }
  return { endpoint, healthy: error === '', took, error };
}

function alarmText({ alarms }: etcdserverpb.AlarmResponse): string {
  return alarms.length === 0
    ? ''
    : `Active Alarm(s): ${alarms.map(({ alarm }) => `${alarmName(alarm)} `).join('')}`;
}

const status: Command = {
  path: ['endpoint', 'status'],
  usage: '',
  short: 'Prints out the status of endpoints specified in `--endpoints` flag',
  long: `When --write-out is set to simple, this command prints out comma-separated status lists for each endpoint.
The items in the lists are endpoint, ID, version, storage version, db size, in use, percentage not in use, quota,
is leader, is learner, raft term, raft index, raft applied index, errors, downgrade target version, downgrade enabled.`,
  flags: [CLUSTER_FLAG],
  async run(context) {
    const list: EndpointStatus[] = [];
    const failures = await forEach(context, 'status', async (client, endpoint) => {
      list.push({ endpoint, status: await client.maintenance.status() });
    });
    context.printer.endpointStatus(list);
    return failures.length > 0 ? ExitCode.Error : ExitCode.Success;
  },
};

const hashKV: Command = {
  path: ['endpoint', 'hashkv'],
  usage: '',
  short: 'Prints the KV history hash for each endpoint in --endpoints',
  flags: [
    CLUSTER_FLAG,
    { name: 'rev', kind: 'int', initial: '0', usage: 'maximum revision to hash (default: latest revision)' },
  ],
  async run(context) {
    const revision = context.flags.int('rev');
    const list: EndpointHashKV[] = [];
    const failures = await forEach(context, 'hash', async (client, endpoint) => {
      list.push({ endpoint, hash: await client.maintenance.hashKV({ revision }) });
    });
    context.printer.endpointHashKV(list);
    const last = failures.at(-1);
    if (last !== undefined) throw new CtlError(ExitCode.Error, errorText(last));
    return ExitCode.Success;
  },
};

/** Asks each endpoint in turn, telling about those that fail. @returns their errors */
async function forEach(
  context: CommandContext,
  what: string,
  ask: (client: ReturnType<CommandContext['clientOf']>, endpoint: string) => Promise<void>,
): Promise<EtcdError[]> {
  const failures: EtcdError[] = [];
  for (const endpoint of await endpointsOf(context)) {
    const client = context.clientOf([endpoint]);
    try {
      await ask(client, endpoint);
    } catch (error) {
      if (!(error instanceof EtcdError)) throw error;
      failures.push(error);
      context.io.err(`Failed to get the ${what} of endpoint ${endpoint} (${errorText(error)})\n`);
    } finally {
      client.close();
    }
  }
  return failures;
}

export const endpointCommands: readonly Command[] = [hashKV, health, status];
