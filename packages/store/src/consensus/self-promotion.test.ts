import { expect, test } from '@jest/globals';
import { silentLogger } from '@keelson/base';
import { HandClock } from '../../test/hand-clock.ts';
import { Schedule } from './schedule.ts';
import {
  SelfPromotion,
  type PromotionAnswer,
  type PromotionCandidate,
  type PromotionResult,
} from './self-promotion.ts';

const REFUSED: PromotionAnswer = { kind: 'refused', reason: 'not in sync' };

function candidate(fields: Partial<PromotionCandidate>): PromotionCandidate {
  return {
    standing: () => 'learner',
    caughtUp: () => Promise.resolve(),
    ask: () => Promise.resolve({ kind: 'promoted' }),
    ...fields,
  };
}

async function started(who: PromotionCandidate): Promise<{
  readonly clock: HandClock;
  readonly schedule: Schedule;
  readonly results: PromotionResult[];
  readonly done: () => boolean;
}> {
  const clock = new HandClock();
  const schedule = new Schedule(clock);
  const results: PromotionResult[] = [];
  let done = false;
  const promotion = new SelfPromotion(who, schedule, silentLogger, (result) => results.push(result));
  void promotion.run().then(() => (done = true));
  await settled();
  return { clock, schedule, results, done: () => done };
}

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test('a voter asks for nothing', async () => {
  const { clock, results, done } = await started(candidate({ standing: () => 'voter' }));
  await clock.run(10);
  expect(done()).toBe(true);
  expect(results).toEqual([]);
});

test('a member that does not know itself yet waits; a learner asks until it sees that it votes', async () => {
  let standing: ReturnType<PromotionCandidate['standing']> = 'unknown';
  const { clock, results, done } = await started(
    candidate({
      standing: () => standing,
      ask: () => {
        standing = 'voter';
        return Promise.resolve({ kind: 'promoted' });
      },
    }),
  );
  await clock.run(5_000);
  expect(results).toEqual([]);
  standing = 'learner';
  await clock.run(1_000);
  expect(results).toEqual(['promoted']);
  expect(done()).toBe(true);
});

test('who lags does not ask', async () => {
  let asked = 0;
  let caughtUp: () => Promise<void> = () => Promise.reject(new Error('etcdserver: request timed out'));
  const { clock, results, schedule } = await started(
    candidate({
      caughtUp: () => caughtUp(),
      ask: () => {
        asked++;
        return Promise.resolve(REFUSED);
      },
    }),
  );
  await clock.run(1_000);
  expect(asked).toBe(0);
  expect(new Set(results)).toEqual(new Set(['lagging']));
  caughtUp = () => Promise.resolve();
  await clock.run(300);
  expect(asked).toBe(1);
  schedule.stop();
});

test('refusals are asked again ever more seldom, a leader that cannot be reached soon', async () => {
  let answer: PromotionAnswer = REFUSED;
  const { clock, results, schedule, done } = await started(candidate({ ask: () => Promise.resolve(answer) }));
  await clock.run(60_000);
  expect(results.length).toBeGreaterThan(10);
  expect(results.length).toBeLessThan(20);
  answer = { kind: 'unreachable' };
  await clock.run(6_000);
  const before = results.length;
  await clock.run(2_000);
  expect(results.length - before).toBe(8);
  schedule.stop();
  await settled();
  expect(done()).toBe(true);
});

test('a member that was removed asks no more', async () => {
  let standing: ReturnType<PromotionCandidate['standing']> = 'learner';
  const { clock, done } = await started(
    candidate({ standing: () => standing, ask: () => Promise.resolve(REFUSED) }),
  );
  await clock.run(1_000);
  standing = 'removed';
  await clock.run(5_000);
  expect(done()).toBe(true);
});
