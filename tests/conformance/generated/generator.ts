/**
 * Scripts from seeds: one seed, one script, the same for ever. Each is of one kind, so that operations that
 * belong together meet: keys and transactions, leases, watches, history, users and roles.
 */
import { Prng } from '@keelson/base';
import {
  authenticate,
  authOperation,
  cleanUp,
  disable,
  enable,
  grantPermission,
  roleAdd,
  userAdd,
  userGrantRole,
} from './auth-operations.ts';
import { Operations, type Step } from './operations.ts';

export const KINDS = ['keys', 'leases', 'watches', 'history', 'auth'] as const;
export type Kind = (typeof KINDS)[number];

export interface GeneratedScript {
  readonly seed: number;
  readonly kind: Kind;
  readonly steps: readonly Step[];
}

const STEPS_MIN = 20;
const STEPS_MAX = 32;

export function generate(seed: number): GeneratedScript {
  const prng = new Prng(seed);
  const kind = prng.pick([...KINDS, 'keys', 'watches', 'history'] as const);
  const count = prng.between(STEPS_MIN, STEPS_MAX);
  const ops = new Operations(prng);
  const steps = kind === 'auth' ? authScript(prng, ops, count) : plainScript(prng, ops, kind, count);
  return { seed, kind, steps };
}

type Draw = readonly [weight: number, draw: () => Step];

function drawn(prng: Prng, table: readonly Draw[]): Step {
  let dice = prng.below(table.reduce((sum, [weight]) => sum + weight, 0));
  for (const [weight, draw] of table) {
    dice -= weight;
    if (dice < 0) return draw();
  }
  throw new Error('a table without weights');
}

function plainScript(prng: Prng, ops: Operations, kind: Exclude<Kind, 'auth'>, count: number): Step[] {
  const keys: readonly Draw[] = [
    [30, () => ops.put()],
    [20, () => ops.range()],
    [10, () => ops.deleteRange()],
    [20, () => ops.txn()],
  ];
  const table: Record<typeof kind, readonly Draw[]> = {
    keys,
    leases: [
      ...keys,
      [15, () => ops.leaseGrant()],
      [8, () => ops.leaseRevoke()],
      [12, () => ops.leaseTimeToLive()],
      [5, () => ops.leaseLeases()],
      [5, () => ops.leaseKeepAlive()],
    ],
    watches: [...keys, [20, () => ops.watchCreate()], [6, () => ops.watchCancel()], [2, () => ops.compact()]],
    history: [...keys, [20, () => ops.range()], [12, () => ops.compact()], [3, () => ops.watchCreate()]],
  };
  return Array.from({ length: count }, () => drawn(prng, table[kind]));
}

function authScript(prng: Prng, ops: Operations, count: number): Step[] {
  const steps: Step[] = [];
  // Sometimes what enabling needs is not there; it does not need the role itself.
  const [hasUser, hasGrant] = [!prng.chance(1, 8), !prng.chance(1, 8)];
  if (hasUser) steps.push(userAdd('root'));
  if (!prng.chance(1, 8)) steps.push(roleAdd('root'));
  if (hasGrant) steps.push(userGrantRole('root', 'root'));
  const enabled = hasUser && hasGrant;
  for (const [user, role] of [
    ['alice', 'reader'],
    ['bob', 'writer'],
  ] as const) {
    steps.push(userAdd(user), roleAdd(role), grantPermission(prng, role), userGrantRole(user, role));
  }
  if (prng.chance(1, 6)) steps.push(authenticate('alice'));
  steps.push(enable(), authenticate('root'), authenticate('alice'), authenticate('bob'));
  while (steps.length < count + 8) {
    const drawnUser = prng.pick(['root', 'root', 'alice', 'alice', 'bob', 'bob', undefined, 'stranger']);
    // While auth is off etcd 3.4 refuses tokens that 3.7 does not look at.
    const user = enabled ? drawnUser : undefined;
    ops.user = user;
    ops.limited = user !== 'root';
    steps.push(
      drawn(prng, [
        [20, () => ops.put()],
        [20, () => ops.range()],
        [8, () => ops.deleteRange()],
        [12, () => ops.txn()],
        // Who may touch leases is a matter of 3.5 and later.
        ...(user === 'root' || !enabled
          ? ([
              [8, () => ops.leaseGrant()],
              [6, () => ops.leaseRevoke()],
            ] as const)
          : []),
        [20, () => authOperation(prng, enabled && prng.chance(2, 3) ? 'root' : user)],
        [6, () => authenticate(prng.pick(['root', 'alice', 'bob', 'dave']))],
        [3, () => authenticate(prng.pick(['root', 'alice']), 'wrong')],
        [2, () => enable(enabled ? 'root' : undefined)],
        // By nobody who may: with auth off the tokens that follow would be read by 3.7 alone.
        [1, () => disable(enabled && prng.chance(1, 2) ? 'stranger' : undefined)],
      ]),
    );
  }
  return [...steps, ...cleanUp(enabled)];
}
