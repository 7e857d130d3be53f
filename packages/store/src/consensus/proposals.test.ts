import { beforeEach, describe, expect, test } from '@jest/globals';
import { CommandKind, decodeCommand } from '../apply/command.ts';
import type { ApplyResult } from '../apply/results.ts';
import { StoreError, type ErrorCode } from '../errors.ts';
import { Proposals } from './proposals.ts';
import { RequestIds } from './request-ids.ts';

const BODY = Buffer.alloc(100);
const RESULT: ApplyResult = { response: 'done', error: undefined, revision: 2 };
const LARGE = 1_000_000;
let proposals: Proposals;

beforeEach(() => {
  proposals = new Proposals(new RequestIds(0x77n, 1_800_000_000_000), 1_000);
});

/** What became of it: the response, an error's code, or 'waits'. */
async function fate(promise: Promise<ApplyResult>): Promise<unknown> {
  return Promise.race([
    promise.then(
      (result) => result.response,
      (error: unknown) => (error as StoreError).code,
    ),
    new Promise((resolve) => setImmediate(() => resolve('waits'))),
  ]);
}

const add = (nowMs = 0): Promise<ApplyResult> => proposals.add(CommandKind.Put, BODY, nowMs, LARGE);
const expire = (nowMs: number, code: ErrorCode = 'TIMEOUT'): void =>
  proposals.expire(nowMs, 7_000, () => new StoreError(code));

test('commands leave in the order they came, each under its own id', async () => {
  const waiting = [add(), add(), add()];
  const taken = proposals.take(true);
  expect(taken.map(({ data }) => decodeCommand(data).sequence)).toEqual(
    taken.map(({ sequence }) => sequence),
  );
  expect(new Set(taken.map(({ sequence }) => sequence)).size).toBe(3);
  expect(proposals.take(true)).toEqual([]);
  for (const { sequence } of taken) {
    expect(proposals.isWaiting({ owner: 0x77, sequence })).toBe(true);
    expect(proposals.isWaiting({ owner: 0x78, sequence })).toBe(false);
    proposals.resolve(sequence, RESULT);
  }
  expect(await Promise.all(waiting)).toEqual([RESULT, RESULT, RESULT]);
  expect(proposals.waitingCount).toBe(0);
  expect(proposals.counters).toEqual({ pending: 0, failed: 0 });
});

describe('what is refused was never queued (K8)', () => {
  test('a command larger than a request may be, as the log keeps it', async () => {
    const exact = 100 + 2 + 2 + 1 + 10;
    expect(await fate(proposals.add(CommandKind.Put, BODY, 0, exact - 20))).toBe('REQUEST_TOO_LARGE');
    expect(proposals.queuedCount).toBe(0);
    expect(proposals.waitingCount).toBe(0);
  });

  test('more bytes than may be under way, also when they were proposed and wait for commit', async () => {
    const all = Array.from({ length: 9 }, () => add());
    expect(await fate(all[8])).toBe('TOO_MANY_REQUESTS');
    const [first] = proposals.take(true);
    expect(await fate(add())).toBe('TOO_MANY_REQUESTS');
    proposals.resolve(first.sequence, RESULT);
    expect(await fate(add())).toBe('waits');
    expect(proposals.queuedCount).toBe(1);
  });

  test('what raft dropped', async () => {
    const waiting = add();
    proposals.drop(proposals.take(true), new StoreError('PROPOSAL_DROPPED'));
    expect(await fate(waiting)).toBe('PROPOSAL_DROPPED');
  });
});

describe('time', () => {
  test('a waiter fails when its time is up, and not before', async () => {
    const [old, young] = [add(0), add(1)];
    expire(6_999);
    expect(await fate(old)).toBe('waits');
    expire(7_000);
    expect(await fate(old)).toBe('TIMEOUT');
    expect(await fate(young)).toBe('waits');
  });

  test('a late result finds nobody and does no harm', async () => {
    const waiting = add(0);
    const { sequence } = proposals.take(true)[0];
    expire(8_000, 'TIMEOUT_LEADER_FAIL');
    proposals.resolve(sequence, RESULT);
    expect(await fate(waiting)).toBe('TIMEOUT_LEADER_FAIL');
    expect(proposals.isWaiting({ owner: 0x77, sequence })).toBe(false);
  });

  test('what nobody waits for any more is not proposed', async () => {
    const [old, young] = [add(0), add(5_000)];
    expire(7_000);
    expect(await fate(old)).toBe('TIMEOUT');
    const taken = proposals.take(true);
    expect(taken).toHaveLength(1);
    proposals.resolve(taken[0].sequence, RESULT);
    expect(await fate(young)).toBe('done');
  });
});

describe('commands of the leader', () => {
  test('go along when this member leads', () => {
    proposals.addAsLeader(CommandKind.LeaseRevoke, BODY);
    const [taken] = proposals.take(true);
    expect(decodeCommand(taken.data)).toMatchObject({ kind: CommandKind.LeaseRevoke, body: BODY });
    expect(proposals.isWaiting(decodeCommand(taken.data))).toBe(false);
  });

  test('come before what was asked for in the same turn: a renewal voids the checkpoints it knows of', () => {
    void add();
    proposals.addAsLeader(CommandKind.LeaseCheckpoint, BODY);
    expect(proposals.take(true).map(({ data }) => decodeCommand(data).kind)[0]).toBe(
      CommandKind.LeaseCheckpoint,
    );
  });

  test('are discarded when it does not, and never come back (E5)', async () => {
    const waiting = add();
    proposals.addAsLeader(CommandKind.LeaseRevoke, BODY);
    expect(proposals.take(false)).toHaveLength(1);
    expect(proposals.take(true)).toHaveLength(0);
    expect(await fate(waiting)).toBe('waits');
  });
});

test('a waiter filed for a membership change is answered as any other', async () => {
  const filed = proposals.file(0);
  expect(proposals.queuedCount).toBe(0);
  proposals.resolve(filed.sequence, RESULT);
  expect(await fate(filed.result)).toBe('done');
});

test('at the end everybody hears of it and nothing is left to propose', async () => {
  const waiting = [add(), proposals.file(0).result];
  proposals.addAsLeader(CommandKind.LeaseRevoke, BODY);
  proposals.failAll(new StoreError('STOPPED'));
  expect(await Promise.all(waiting.map(fate))).toEqual(['STOPPED', 'STOPPED']);
  expect(proposals.queuedCount).toBe(0);
});
