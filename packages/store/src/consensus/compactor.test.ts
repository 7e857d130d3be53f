/** When the work of a compaction begins: behind the batch of entries that asked for it, never within. Who waits for its end. */
import { expect, test } from '@jest/globals';
import { silentLogger, systemClock, type Clock } from '@keelson/base';
import { etcdserverpb } from '@keelson/proto';
import { Entry, EntryType } from '@keelson/raft';
import { Machine } from '../../test/machine.ts';
import { CommandKind, encodeCommand } from '../apply/command.ts';
import type { OpenedState } from '../apply/state-machine.ts';
import { Compactor } from './compactor.ts';
import { Schedule } from './schedule.ts';

test('a put and a compaction applied as one batch', async () => {
  let fail = (_error: Error): void => {};
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  let kick = (): void => {};
  const machine = await Machine.open(undefined, { onCompaction: () => kick() });
  const compactor = new Compactor(
    () => machine.state,
    new Schedule(systemClock),
    0,
    silentLogger,
    (error) => fail(error),
  );
  kick = () => compactor.kick();
  machine.put('a', '1');
  machine.put('a', '2');
  await machine.state.buffer.commit();

  const put = etcdserverpb.encodePutRequest(
    new etcdserverpb.PutRequest({ key: Buffer.from('b'), value: Buffer.from('3') }),
  );
  const compact = etcdserverpb.encodeCompactionRequest(
    new etcdserverpb.CompactionRequest({ revision: machine.revision }),
  );
  const first = machine.state.consistentIndex + 1;
  const entry = (offset: number, kind: CommandKind, body: Buffer): Entry =>
    new Entry(
      1,
      first + offset,
      EntryType.Normal,
      encodeCommand({ owner: 1, sequence: 100 + offset }, kind, body),
    );
  machine.applier.applyBatch([entry(0, CommandKind.Put, put), entry(1, CommandKind.Compaction, compact)]);
  await Promise.race([compactor.done(3), failed]);
  expect(machine.state.mvcc.finishedCompactRevision).toBe(3);
  expect(machine.revision).toBe(4);
  await compactor.stop();
});

/** Its timers are over when `pass` is called, and not before. */
class HandClock implements Clock {
  private tasks: (() => void)[] = [];

  nowMs(): number {
    return 0;
  }

  monotonicMs(): number {
    return 0;
  }

  setTimer(_delayMs: number, task: () => void): { cancel(): void } {
    this.tasks.push(task);
    return { cancel: () => void (this.tasks = this.tasks.filter((each) => each !== task)) };
  }

  /** @returns whether there was anything to end */
  pass(): boolean {
    const { tasks } = this;
    this.tasks = [];
    for (const task of tasks) task();
    return tasks.length > 0;
  }
}

/** What another member's snapshot holds: a compaction was asked for there, and is not done. */
async function stateWithWork(): Promise<OpenedState> {
  const { state } = await overwritten();
  expect(state.mvcc.compactionPending).toBe(true);
  await state.buffer.commit();
  return { backend: state.backend, buffer: state.buffer };
}

async function overwritten(onCompaction: () => void = () => {}): Promise<Machine> {
  const machine = await Machine.open(undefined, { mvcc: { compactionBatchLimit: 1 }, onCompaction });
  for (const value of ['1', '2', '3', '4']) machine.put('a', value);
  machine.compact(5);
  return machine;
}

/** Lets everything happen that needs no timer. */
function turns(): Promise<void> {
  return new Promise((resolve) => {
    let left = 20;
    const next = (): void => void (left-- === 0 ? resolve() : setImmediate(next));
    next();
  });
}

test.each([
  ['of the store that a snapshot brought is not waited for', false],
  ['of the store before the snapshot is', true],
])('work %s', async (_, busyBefore) => {
  const clock = new HandClock();
  const lines: string[] = [];
  const failures: Error[] = [];
  let kick = (): void => {};
  const machine = await overwritten(() => kick());
  const compactor = new Compactor(
    () => machine.state,
    new Schedule(clock),
    10,
    { ...silentLogger, info: (line) => void lines.push(line) },
    (error) => failures.push(error),
  );
  kick = () => compactor.kick();
  kick();
  if (!busyBefore) {
    do await turns();
    while (clock.pass());
    expect(lines.splice(0)).toHaveLength(1);
  }

  await turns();
  await machine.state.replace(await stateWithWork());
  let told = false;
  const replaced = compactor.storeReplaced().then(() => {
    told = true;
  });
  await turns();
  expect(told).toBe(!busyBefore);
  expect(lines).toEqual([]);
  clock.pass();
  await replaced;
  do await turns();
  while (clock.pass());
  expect(lines).toEqual(['finished scheduled compaction']);
  expect(machine.state.mvcc.finishedCompactRevision).toBe(5);
  expect(failures).toEqual([]);
  await compactor.stop();
});
