/** When a learner has enough of the log to be promoted, and what becomes of a change that the driver does not come to. */
import { systemClock } from '@keelson/base';
import { Role } from '@keelson/raft';
import { expect, test } from '@jest/globals';
import { StoreError } from '../errors.ts';
import { Membership } from '../membership/membership.ts';
import type { Driver } from './driver.ts';
import { Proposals } from './proposals.ts';
import { Reconfiguration } from './reconfiguration.ts';
import { RequestIds } from './request-ids.ts';
import { Schedule } from './schedule.ts';

const SELF = 1n;
const LEARNER = 2n;

/**
 * What comes of asking for a promotion: the code of a refusal, or that it was proposed.
 * @param answer what the driver says to the change
 */
async function promoted(
  role: Role,
  matches: ReadonlyMap<bigint, number>,
  answer: Promise<string> = Promise.resolve('ok'),
): Promise<string> {
  const nothing = (): void => {};
  const membership = new Membership(
    {
      putMember: nothing,
      deleteMember: nothing,
      putRemoved: nothing,
      putClusterVersion: nothing,
      putDowngrade: nothing,
    },
    nothing,
    { learnersMax: 1 },
  );
  for (const id of [SELF, LEARNER])
    membership.add({
      id,
      peerUrls: [`http://m${id}`],
      isLearner: id === LEARNER,
      name: `m${id}`,
      clientUrls: [],
    });
  const progress = [...matches].map(([id, match]) => ({ id, match }));
  let proposed = 'nothing was proposed';
  const ids = new RequestIds(SELF, 1);
  const proposals = new Proposals(ids, 1e6);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a driver as far as it is asked here
  const driver = {
    role,
    leaderId: SELF,
    node: { status: () => ({ progress }) },
    proposeConfChange: ({ nodeId }: { readonly nodeId: bigint }) => {
      proposed = `${nodeId} proposed`;
      proposals.failAll(new StoreError('STOPPED'));
      return answer;
    },
  } as unknown as Driver;
  const reconfiguration = new Reconfiguration(
    {
      membership: () => membership,
      driver,
      proposals,
      ids,
      connections: { activeSince: () => 0 },
      schedule: new Schedule(systemClock),
      monotonicMs: () => 0,
    },
    { memberId: SELF, strict: true, requestTimeoutMs: 5_000 },
  );
  try {
    await reconfiguration.promoteHere(LEARNER);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return error.code === 'STOPPED' ? proposed : error.code;
  }
  return 'answered';
}

test.each<[string, Role, number | undefined, string]>([
  ['with all of it', Role.Leader, 1000, '2 proposed'],
  ['with nine tenths', Role.Leader, 900, '2 proposed'],
  ['with less', Role.Leader, 899, 'LEARNER_NOT_READY'],
  ['with nothing: it never started', Role.Leader, 0, 'LEARNER_NOT_READY'],
  ['that the leader does not know', Role.Leader, undefined, 'MEMBER_NOT_FOUND'],
  ['by a member that does not lead', Role.Follower, 1000, 'NOT_LEADER'],
])('a learner %s', async (_name, role, match, want) => {
  const matches = new Map([[SELF, 1000], ...(match === undefined ? [] : [[LEARNER, match] as const])]);
  expect(await promoted(role, matches)).toBe(want);
});

test('a change whose time is up before the driver comes to it ends then', async () => {
  const never = new Promise<string>(() => {});
  expect(
    await promoted(
      Role.Leader,
      new Map([
        [SELF, 1],
        [LEARNER, 1],
      ] as const),
      never,
    ),
  ).toBe('2 proposed');
});
