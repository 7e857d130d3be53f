/** When the work of a compaction begins: behind the batch of entries that asked for it, never within. */
import { expect, test } from '@jest/globals';
import { silentLogger, systemClock } from '@keelson/base';
import { etcdserverpb } from '@keelson/proto';
import { Entry, EntryType } from '@keelson/raft';
import { Machine } from '../../test/machine.ts';
import { CommandKind, encodeCommand } from '../apply/command.ts';
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
