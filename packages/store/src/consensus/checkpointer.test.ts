/** When index checkpoints are written, and that none outlives the store it describes. */
import { expect, test } from '@jest/globals';
import { EMPTY, silentLogger, systemClock, type Logger } from '@keelson/base';
import { MemoryDisk } from '@keelson/sim';
import { Machine } from '../../test/machine.ts';
import { MemoryBackend } from '../backend/memory-backend.ts';
import { WriteBuffer } from '../backend/write-buffer.ts';
import {
  CHECKPOINT_CALM_CHANGES_MAX,
  CHECKPOINT_CHANGES_AT_END_MIN,
  CHECKPOINT_CHANGES_CALM_MIN,
  CHECKPOINT_CHANGES_MIN,
} from '../limits.ts';
import { CheckpointFile } from '../mvcc/checkpoint-file.ts';
import { Checkpointer } from './checkpointer.ts';
import { Schedule } from './schedule.ts';

const USED = 'restored the key index from its checkpoint';

/** A member's state with a place for its checkpoint, over one life after the other. */
class Place {
  readonly disk = new MemoryDisk();
  readonly backend = new MemoryBackend();
  readonly lines: string[] = [];
  readonly logger: Logger = { ...silentLogger, info: (line) => void this.lines.push(line) };

  async start(): Promise<{ machine: Machine; checkpointer: Checkpointer }> {
    await this.disk.makeDirectory('/snap');
    const checkpoint = { file: new CheckpointFile(this.disk, '/snap'), logger: this.logger };
    const machine = await Machine.open(this.backend, { mvcc: { checkpoint } });
    return { machine, checkpointer: new Checkpointer(machine.state, new Schedule(systemClock), this.logger) };
  }

  files(): Promise<string[]> {
    return this.disk.list('/snap');
  }
}

/** So many changes of so many keys, applied. */
function put({ state }: Machine, count: number, keys: number, name = 'key'): void {
  for (let i = 0; i < count; i++) state.put(`${name} ${i % keys}`, EMPTY, 0n);
  state.mark(state.consistentIndex + 1, 1);
}

test('at an orderly end: for enough changes, or when a compaction has overtaken the last one', async () => {
  const place = new Place();
  let { machine, checkpointer } = await place.start();
  put(machine, CHECKPOINT_CHANGES_AT_END_MIN - 1, 1e9);
  await checkpointer.stop();
  await checkpointer.atEnd();
  expect(await place.files()).toEqual([]);
  put(machine, 1, 1);
  await checkpointer.atEnd();
  expect(await place.files()).toEqual(['index.checkpoint']);

  ({ machine, checkpointer } = await place.start());
  expect(place.lines).toEqual(['wrote the index checkpoint', USED]);
  put(machine, 100, 1e9, 'other');
  await checkpointer.stop();
  await checkpointer.atEnd();
  expect(place.lines).toHaveLength(2);
  // As it is left when a member ends within a compaction.
  machine.compact(machine.revision);
  await machine.state.buffer.commit();
  await checkpointer.atEnd();
  expect(place.lines).toHaveLength(3);
  ({ machine } = await place.start());
  expect(place.lines.slice(2)).toEqual(['wrote the index checkpoint', USED]);
  expect(machine.state.mvcc.compactionPending).toBe(true);
});

/** So many changes of new keys by one transaction: one revision. */
function putTogether({ state }: Machine, count: number, name: string): void {
  const txn = state.mvcc.beginWrite();
  for (let i = 0; i < count; i++) txn.put(`${name} ${i}`, EMPTY, 0n);
  txn.end();
  state.mark(state.consistentIndex + 1, 1);
}

test('changes count, not revisions: a transaction makes many of one', async () => {
  const place = new Place();
  let { machine, checkpointer } = await place.start();
  putTogether(machine, CHECKPOINT_CHANGES_AT_END_MIN, 'a');
  await machine.state.buffer.commit();
  await checkpointer.stop();
  await checkpointer.atEnd();
  expect(place.lines).toEqual(['wrote the index checkpoint']);

  ({ machine, checkpointer } = await place.start());
  putTogether(machine, CHECKPOINT_CHANGES_AT_END_MIN - 1, 'b');
  await machine.state.buffer.commit();
  expect(machine.state.mvcc.changesSinceCheckpoint).toBe(CHECKPOINT_CHANGES_AT_END_MIN - 1);

  // What a start has read behind the checkpoint counts on.
  ({ machine, checkpointer } = await place.start());
  expect(machine.state.mvcc.changesSinceCheckpoint).toBe(CHECKPOINT_CHANGES_AT_END_MIN - 1);
  expect(machine.state.mvcc.indexedChanges).toBe(2 * CHECKPOINT_CHANGES_AT_END_MIN - 1);
  putTogether(machine, CHECKPOINT_CHANGES_MIN - CHECKPOINT_CHANGES_AT_END_MIN + 1, 'c');
  checkpointer.afterApply();
  await checkpointer.storeReplaced();
  expect(place.lines.at(-1)).toBe('wrote the index checkpoint');
  expect(machine.state.mvcc.changesSinceCheckpoint).toBe(0);
});

test('where little changes, fewer changes are worth one', async () => {
  const place = new Place();
  const { machine, checkpointer } = await place.start();
  putTogether(machine, CHECKPOINT_CHANGES_CALM_MIN, 'a');
  await machine.state.buffer.commit();
  checkpointer.afterApply();
  checkpointer.whenCalm();
  await checkpointer.storeReplaced();
  expect(place.lines).toEqual([]);
  putTogether(machine, CHECKPOINT_CALM_CHANGES_MAX, 'b');
  checkpointer.whenCalm();
  await checkpointer.storeReplaced();
  expect(place.lines).toEqual(['wrote the index checkpoint']);
});

test('while it serves: for enough changes; and a store that is replaced leaves nothing', async () => {
  const place = new Place();
  const { machine, checkpointer } = await place.start();
  const { state } = machine;
  put(machine, CHECKPOINT_CHANGES_MIN - 2, 5);
  checkpointer.afterApply();
  await checkpointer.stop();
  expect(place.lines).toEqual([]);
  const serving = new Checkpointer(state, new Schedule(systemClock), place.logger);
  put(machine, 2, 5);
  serving.afterApply();
  serving.afterApply();
  await state.buffer.commit();
  const backend = new MemoryBackend();
  await state.replace({ backend, buffer: await WriteBuffer.load(backend, { onError: () => {} }) });
  await serving.storeReplaced();
  expect(await place.files()).toEqual([]);
  expect(state.mvcc.checkpointRevision).toBe(0);

  const again = await place.start();
  expect(again.machine.revision).toBe(CHECKPOINT_CHANGES_MIN + 1);
  again.checkpointer.afterApply();
  await again.checkpointer.storeReplaced();
  expect(place.lines).toEqual(['wrote the index checkpoint']);
  await place.start();
  expect(place.lines.at(-1)).toBe(USED);
});
