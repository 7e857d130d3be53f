import { expect, test } from '@jest/globals';
import { CommandKind } from '../apply/command.ts';
import { Replica } from './replica.ts';

/** A member that has fallen behind with applying by so many entries. */
function behind(gap: number, revokeGapMax: number): Replica {
  const done = { response: undefined, error: undefined, revision: 1 };
  const parts = {
    driver: { commitIndex: gap, appliedIndex: 0, wake: () => {} },
    proposals: { add: () => Promise.resolve(done) },
    options: { memberId: 1n, clusterId: 9n, monotonicMs: () => 0, applyGapMax: 5_000, revokeGapMax },
  };
  // What it does not ask for here is not there.
  return Reflect.construct(Replica, [
    {},
    parts.driver,
    parts.proposals,
    {},
    () => ({}),
    {},
    {},
    {},
    {},
    parts.options,
  ]) as Replica;
}

test.each<[string, number, number, CommandKind, boolean]>([
  ['a put near the bound', 5_000, 10_000, CommandKind.Put, true],
  ['a put beyond it', 5_001, 10_000, CommandKind.Put, false],
  ['a revoke beyond it, with PriorityRequest', 5_001, 10_000, CommandKind.LeaseRevoke, true],
  ['a revoke beyond its own bound', 10_001, 10_000, CommandKind.LeaseRevoke, false],
  ['a revoke beyond it, without', 5_001, 5_000, CommandKind.LeaseRevoke, false],
])('a member behind with applying: %s', async (_name, gap, revokeGapMax, kind, taken) => {
  const outcome = behind(gap, revokeGapMax)
    .propose(kind, Buffer.alloc(0))
    .then(
      () => true,
      (error: unknown) => (error as { code: string }).code,
    );
  expect(await outcome).toBe(taken ? true : 'TOO_MANY_REQUESTS');
});
