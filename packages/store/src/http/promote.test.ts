import { afterEach, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { Agent, createServer, type Server } from 'node:http';
import { StoreError, type ErrorCode } from '../errors.ts';
import { askForPromotion, promoteHandler } from './promote.ts';

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
