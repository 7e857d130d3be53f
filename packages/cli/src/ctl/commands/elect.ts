/** elect: stands for election and leads until it is told to stop, or tells who leads. */
import { Election, EtcdError, Session, observeElection } from '@keelson/client';
import type { Command, CommandContext } from '../command.ts';
import { CtlError, ExitCode, badArgs } from '../ctl-error.ts';
import { bytesOf } from '../../go-text.ts';
import { endOf, shown } from './lock.ts';

export const elect: Command = {
  path: ['elect'],
  usage: '<election-name> [proposal]',
  short: 'Observes and participates in leader election',
  stops: true,
  flags: [{ name: 'listen', short: 'l', kind: 'bool', initial: 'false', usage: 'observation mode' }],
  run(context) {
    const [name, proposal, ...others] = context.args;
    if (name === undefined || others.length > 0)
      throw badArgs('elect takes one election name argument and an optional proposal argument');
    const listen = context.flags.bool('listen');
    if (proposal === undefined && !listen) throw badArgs('no proposal argument but -l not set');
    if (proposal !== undefined && listen) throw badArgs('proposal given but -l is set');
    return proposal === undefined ? observe(context, name) : campaign(context, name, proposal);
  },
};

async function observe({ client, printer, stopping }: CommandContext, name: string): Promise<ExitCode> {
  try {
    for await (const leader of observeElection(client(), name, { signal: stopping })) printer.get(leader);
  } catch (error) {
    if (!(error instanceof EtcdError)) throw error;
    throw new CtlError(ExitCode.Error, 'elect: observer lost', error);
  }
  return ExitCode.Success;
}

async function campaign(context: CommandContext, name: string, proposal: string): Promise<ExitCode> {
  const { client, stopping } = context;
  const session = await Session.open(client());
  const election = new Election(session, name);
  try {
    await election.campaign(bytesOf(proposal), { signal: stopping });
    await shown(election.key, context, 'elect: session expired');
    await endOf(session, stopping, 'elect: session expired');
    return ExitCode.Success;
  } finally {
    await election.resign();
    await session.close();
  }
}
