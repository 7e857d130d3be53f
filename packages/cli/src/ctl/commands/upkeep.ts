/** defrag, move-leader, downgrade: what operators do to members that run. */
import { EtcdError } from '@keelson/client';
import type { DowngradeStep } from '@keelson/client';
import { GoTextError, formatDurationMs, parseUint64 } from '../../go-text.ts';
import type { Command } from '../command.ts';
import { ExitCode, badArgs } from '../ctl-error.ts';
import { CLUSTER_FLAG, endpointsOf } from './endpoint.ts';
import { errorText } from './lease.ts';

export const defrag: Command = {
  path: ['defrag'],
  usage: '',
  short: 'Defragments the storage of the etcd members with given endpoints',
  flags: [CLUSTER_FLAG],
  async run(context) {
    let failed = false;
    for (const endpoint of await endpointsOf(context)) {
      const client = context.clientOf([endpoint]);
      const startMs = performance.now();
      const took = (): string => formatDurationMs(performance.now() - startMs);
      try {
        await client.maintenance.defragment();
        context.io.out(`Finished defragmenting etcd member[${endpoint}]. took ${took()}\n`);
      } catch (error) {
        if (!(error instanceof EtcdError)) throw error;
        failed = true;
        context.io.err(
          `Failed to defragment etcd member[${endpoint}]. took ${took()}. (${errorText(error)})\n`,
        );
      } finally {
        client.close();
      }
    }
    return failed ? ExitCode.Error : ExitCode.Success;
  },
};

export const moveLeader: Command = {
  path: ['move-leader'],
  usage: '<transferee-member-id>',
  short: 'Transfers leadership to another etcd cluster member.',
  flags: [],
  async run({ args, endpoints, printer, clientOf }) {
    const [text] = args;
    if (text === undefined || args.length !== 1) throw badArgs('move-leader command needs 1 argument');
    let target: bigint;
    try {
      target = parseUint64(text, 16);
    } catch (error) {
      if (error instanceof GoTextError) throw badArgs(error.message);
      throw error;
    }
    // Only the leader gives its place away.
    for (const endpoint of endpoints) {
      const client = clientOf([endpoint]);
      try {
        const { leader, header } = await client.maintenance.status();
        if (leader !== header?.memberId) continue;
        printer.moveLeader({ leader, target, response: await client.maintenance.moveLeader(target) });
        return ExitCode.Success;
      } finally {
        client.close();
      }
    }
    throw badArgs(`no leader endpoint given at [${endpoints.join(' ')}]`);
  },
};

function targetVersion(args: readonly string[]): string {
  const [version] = args;
  if (version === undefined) throw badArgs('TARGET_VERSION not provided');
  if (args.length > 1) throw badArgs('too many arguments');
  if (version === '') throw badArgs('target version not provided');
  return version;
}

const downgradeStep = (
  step: DowngradeStep,
  word: 'validate' | 'enable' | 'cancel',
  short: string,
): Command => ({
  path: ['downgrade', word],
  usage: word === 'cancel' ? '' : '<TARGET_VERSION>',
  short,
  flags: [],
  async run({ args, printer, client }) {
    const version = word === 'cancel' ? '' : targetVersion(args);
    printer.downgrade({ step: word, response: await client().maintenance.downgrade(step, version) });
    return ExitCode.Success;
  },
});

export const downgradeCommands: readonly Command[] = [
  downgradeStep('VALIDATE', 'validate', 'Validate downgrade capability before starting downgrade'),
  downgradeStep('ENABLE', 'enable', 'Start a downgrade action to cluster'),
  downgradeStep('CANCEL', 'cancel', 'Cancel the ongoing downgrade action to cluster'),
];
