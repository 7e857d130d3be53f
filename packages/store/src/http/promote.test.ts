import { afterEach, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { Agent, createServer, type Server } from 'node:http';
import { systemClock } from '@keelson/base';
import { Schedule } from '../consensus/schedule.ts';
import { messageOf, StoreError, type ErrorCode } from '../errors.ts';
import { askForPromotion, promoteAtLeader, promoteHandler } from './promote.ts';

const agent = new Agent();
const open: Server[] = [];

afterEach(() => {
  for (const server of open.splice(0)) server.close();
  agent.destroy();
});

/** A leader's peer URL; every promotion ends as `outcome` says. */
async function leaderThat(outcome: ErrorCode | undefined): Promise<string> {
  const server = createServer(
    promoteHandler(
      () => (outcome === undefined ? Promise.resolve([]) : Promise.reject(new StoreError(outcome))),
      1n,
    ),
  );
  open.push(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening on TCP');
  return `http://127.0.0.1:${address.port}`;
}

test.each<[string, ErrorCode | undefined, Awaited<ReturnType<typeof askForPromotion>>]>([
  ['it promotes', undefined, { kind: 'promoted' }],
  [
    'it is not in sync',
    'LEARNER_NOT_READY',
    {
      kind: 'refused',
      reason: 'etcdserver: can only promote a learner member which is in sync with leader',
    },
  ],
  [
    'its strict check of reconfigurations says no',
    'NOT_ENOUGH_STARTED',
    {
      kind: 'refused',
      reason: 'StoreError: etcdserver: re-configuration failed due to not enough started members',
    },
  ],
])('the leader is asked for a promotion: %s', async (_name, outcome, want) => {
  const url = await leaderThat(outcome);
  const leaderUrls = (): readonly string[] => ['http://127.0.0.1:1', url];
  expect(await askForPromotion(7n, { leaderUrls, agent, timeoutMs: 10_000 })).toEqual(want);
});

test('no leader, or none that answers', async () => {
  const asked = (urls: readonly string[]): ReturnType<typeof askForPromotion> =>
    askForPromotion(7n, { leaderUrls: () => urls, agent, timeoutMs: 10_000 });
  expect(await asked([])).toEqual({ kind: 'unreachable' });
  expect(await asked(['http://127.0.0.1:1'])).toEqual({ kind: 'unreachable' });
});

/** A leader's peer URL; each promotion in turn gets a status and a text, or, without, a connection that is cut. */
async function leaderThatAnswers(
  answers: readonly (readonly [number, string] | undefined)[],
): Promise<string> {
  let asked = 0;
  const server = createServer((request, response) => {
    const answer = answers[Math.min(asked++, answers.length - 1)];
    if (answer === undefined) request.socket.destroy();
    else response.writeHead(answer[0]).end(answer[1]);
  });
  open.push(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening on TCP');
  return `http://127.0.0.1:${address.port}`;
}

const NOT_READY = [412, messageOf('LEARNER_NOT_READY')] as const;
const NOT_LEARNER = [412, 'membership: can only promote a learner member'] as const;

test.each<[string, readonly (readonly [number, string] | undefined)[], ErrorCode]>([
  ['a refusal is passed on', [NOT_READY], 'LEARNER_NOT_READY'],
  ['behind one that did not lead', [[500, 'etcdserver: not leader'], NOT_READY], 'LEARNER_NOT_READY'],
  ['not behind a leader that died of the question', [undefined, NOT_READY], 'TIMEOUT'],
  [
    'not behind one whose proposal timed out',
    [[408, 'etcdserver: request timed out'], NOT_LEARNER],
    'TIMEOUT',
  ],
  ['not behind one that was being stopped', [[500, messageOf('STOPPED')], NOT_LEARNER], 'TIMEOUT'],
])('promotion at the leader: %s', async (_name, answers, want) => {
  const url = await leaderThatAnswers(answers);
  const here = (): Promise<never> => Promise.reject(new StoreError('NOT_LEADER'));
  const forwarding = {
    // Where nobody listens nothing was asked.
    leaderUrls: () => ['http://127.0.0.1:1', url],
    agent,
    schedule: new Schedule(systemClock),
    monotonicMs: () => 0,
    timeoutMs: 10_000,
  };
  await expect(promoteAtLeader(7n, here, forwarding)).rejects.toMatchObject({ code: want });
});
