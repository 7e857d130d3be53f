/**
 * A client's locks and candidacies: the Lock and Election services, which are recipes over keys, leases and watches. What they
 * ask the store for goes into the history as requests whose answer nobody was told; that two never have one lock, or lead one
 * election, is looked at here: who has it is told only when the key of who had it before is gone.
 */
import type { Prng } from '@keelson/base';
import { services, v3electionpb, v3lockpb } from '@keelson/proto';
import type { RpcError } from '@keelson/rpc';
import { law, type Asker, type PendingOperation, type Request } from '@keelson/sim';
import type { CallSettings, Connection } from './connection.ts';
import type { Goal } from './goals.ts';
import type { Requests } from './requests.ts';
import type { Show } from './show.ts';
import { bytes, leaseId } from '../wire/values.ts';

const { Lock, Election } = services;
/** Within what users of the simulation may write; apart from the keys that everybody puts. */
const LOCKS = ['kl0', 'kl1'] as const;
const ELECTIONS = ['km0', 'km1'] as const;
const WAITED_MS = 100;
const HELD_MS_MAX = 3000;
const OBSERVED_MS = 4000;

/** Whose locks they are. */
export interface Locker {
  readonly cluster: Show;
  readonly prng: Prng;
  readonly connection: Connection | undefined;
  readonly token: string | undefined;
  readonly asker: Asker;
  readonly clients: { readonly requests: Requests };
}

export class Locks {
  private readonly client: Locker;
  private busy = false;

  constructor(client: Locker) {
    this.client = client;
  }

  /** Queues for something, if it does not yet. */
  act(): void {
    const { client } = this;
    const { prng, connection } = client;
    const lease = client.clients.requests.knowledge.leases.at(-1 - prng.below(3));
    if (this.busy || connection?.open !== true || lease === undefined) return;
    this.busy = true;
    if (prng.chance(1, 6)) this.observe(connection, prng.pick(ELECTIONS));
    else if (prng.chance(1, 2)) this.lock(connection, prng.pick(LOCKS), lease);
    else this.campaign(connection, prng.pick(ELECTIONS), lease);
  }

  private settings(patience: readonly number[]): CallSettings {
    const { prng, token } = this.client;
    return {
      token,
      timeoutMs: prng.pick(patience),
      tellsTimeout: prng.chance(1, 2),
      cancelAfterMs: prng.chance(1, 10) ? prng.below(500) : undefined,
    };
  }

  /** Requests that the member makes for the client, and answers to nobody. */
  private unseen(...requests: readonly Request[]): () => void {
    const { cluster, asker } = this.client;
    const pending = requests.map((request): PendingOperation => cluster.recorder.call(asker, request));
    return () => {
      for (const operation of pending) operation.failed('Unknown', 'asked by a member itself');
    };
  }

  private lock(connection: Connection, name: string, lease: string): void {
    const { cluster } = this.client;
    const key = `${name}/${lease}`;
    const told = this.unseen(queued(key, '', lease, true), { kind: 'delete', key });
    const message = new v3lockpb.LockRequest({ name: bytes(name), lease: leaseId(lease) });
    const { now } = cluster.scheduler;
    const before = cluster.locks.deletedTimes(key);
    connection.call(Lock.methods.lock, message, this.settings([500, 3000, 15_000]), (answer, error) => {
      told();
      this.took(name, key, before, now, answer !== undefined, error, 'lock got', 'lock waited for');
      if (answer === undefined) this.rest();
      else this.holds(() => this.unlock(key));
    });
  }

  private unlock(key: string): void {
    const { connection } = this.client;
    if (connection?.open !== true) {
      this.rest();
      return;
    }
    const told = this.unseen({ kind: 'delete', key });
    const message = new v3lockpb.UnlockRequest({ key: bytes(key) });
    connection.call(Lock.methods.unlock, message, this.settings([2000]), () => {
      told();
      this.rest();
    });
  }

  private campaign(connection: Connection, name: string, lease: string): void {
    const { cluster } = this.client;
    const key = `${name}/${lease}`;
    // One value a session: a candidate that comes again says nothing new.
    const value = `e${lease}`;
    const told = this.unseen(queued(key, value, lease, false), { kind: 'delete', key });
    const message = new v3electionpb.CampaignRequest({
      name: bytes(name),
      lease: leaseId(lease),
      value: bytes(value),
    });
    const { now } = cluster.scheduler;
    const before = cluster.locks.deletedTimes(key);
    connection.call(
      Election.methods.campaign,
      message,
      this.settings([500, 3000, 15_000]),
      (answer, error) => {
        told();
        this.took(
          name,
          key,
          before,
          now,
          answer !== undefined,
          error,
          undefined,
          'election won after another',
        );
        const leader = answer?.leader;
        if (leader === undefined) this.rest();
        else this.holds(() => this.resign(leader, key));
      },
    );
  }

  private resign(leader: v3electionpb.LeaderKey, key: string): void {
    const { connection } = this.client;
    if (connection?.open !== true) {
      this.rest();
      return;
    }
    const told = this.unseen({
      kind: 'txn',
      compare: [{ key, target: 'create', result: 'equal', operand: leader.rev }],
      // oxlint-disable-next-line unicorn/no-thenable -- a history's word for it
      then: [{ kind: 'delete', key }],
    });
    const message = new v3electionpb.ResignRequest({ leader });
    connection.call(Election.methods.resign, message, this.settings([2000]), () => {
      told();
      this.rest();
    });
  }

  /** Who leads, and who leads next. */
  private observe(connection: Connection, name: string): void {
    const { cluster, token } = this.client;
    const message = new v3electionpb.LeaderRequest({ name: bytes(name) });
    const stream = connection.reader(Election.methods.observe, message, token, {
      pace: () => 0,
      message: ({ kv }) => {
        law(
          'K1',
          kv?.key.toString('latin1').startsWith(`${name}/`) === true,
          () => `no candidate leads ${name}`,
        );
        cluster.reach('leader of an election told');
      },
      end: () => this.rest(),
    });
    cluster.scheduler.later(OBSERVED_MS, 'observed', 0, () => {
      if (stream.over) return;
      stream.cancel();
      this.rest();
    });
  }

  private took(
    name: string,
    key: string,
    deletedBefore: number,
    askedAt: number,
    answered: boolean,
    error: RpcError | undefined,
    got: Goal | undefined,
    waited: Goal,
  ): void {
    const { cluster } = this.client;
    if (!answered) {
      cluster.count(`error:${error?.message.slice(0, 60)}`);
      return;
    }
    cluster.count('queuesPassed');
    if (got !== undefined) cluster.reach(got);
    if (cluster.scheduler.now - askedAt > WAITED_MS) cluster.reach(waited);
    // It may be over again: the lease ran out, or somebody deleted the key, while the answer was on its way.
    if (cluster.locks.deletedTimes(key) === deletedBefore) cluster.locks.took(name, key);
  }

  private holds(then: () => void): void {
    const { cluster, prng } = this.client;
    cluster.scheduler.later(prng.below(HELD_MS_MAX), 'held', 0, () => (cluster.over ? undefined : then()));
  }

  private rest(): void {
    this.busy = false;
  }
}

/** How a session comes into the queue below a name. */
function queued(key: string, value: string, lease: string, isLock: boolean): Request {
  const name = key.slice(0, key.indexOf('/'));
  const oldest = {
    kind: 'range',
    key: `${name}/`,
    end: `${name}0`,
    limit: 1,
    order: 'ascend',
    target: 'create',
  } as const;
  const more = isLock ? [oldest] : [];
  return {
    kind: 'txn',
    compare: [{ key, target: 'create', result: 'equal', operand: 0 }],
    // oxlint-disable-next-line unicorn/no-thenable -- a history's word for it
    then: [{ kind: 'put', key, value, lease }, ...more],
    else: [{ kind: 'range', key }, ...more],
  };
}
