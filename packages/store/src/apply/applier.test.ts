import { describe, expect, test } from '@jest/globals';
import { etcdserverpb } from '@keelson/proto';
import { Entry, EntryType } from '@keelson/raft';
import { bytes, Machine, op, txn } from '../../test/machine.ts';
import { CommandKind, encodeCommand } from './command.ts';
import type { SpaceGauge } from './quota.ts';

const { ACTIVATE, DEACTIVATE, GET } = etcdserverpb.AlarmAction;
const [NOSPACE, CORRUPT] = [1, 2];

describe('leases and keys', () => {
  async function machine(): Promise<Machine> {
    const made = await Machine.open();
    made.grant(1n);
    made.grant(2n);
    return made;
  }

  test('a revoke deletes its keys in byte order, in one revision', async () => {
    const made = await machine();
    for (const key of ['b', '\xff', 'a']) made.put(key, 'v', { lease: 1n });
    made.put('kept', 'v');
    made.events.length = 0;
    const { revision } = made.revoke(1n);
    expect(revision).toBe(6);
    expect(made.events.map((event) => `${event.kv.keyString}@${event.kv.modRevision}`)).toEqual([
      'a@6',
      'b@6',
      '\xff@6',
    ]);
    expect(made.dump()).toEqual(['kept=v 5.5.1']);
  });

  test('a revoke without keys makes no revision', async () => {
    const made = await machine();
    expect(made.revoke(1n).revision).toBe(1);
    expect(made.revoke(1n).error?.code).toBe('LEASE_NOT_FOUND');
  });

  test.each<[string, (made: Machine) => void]>([
    ['a put with lease 0', (made) => made.put('k', 'v')],
    ['a put with another lease', (made) => made.put('k', 'v', { lease: 2n })],
    ['a delete', (made) => made.delete('k')],
    ['a delete in a transaction', (made) => made.txn(txn([], [op.del('a', 'z')]))],
    ['a put in a nested transaction', (made) => made.txn(txn([], [op.txn([], [op.put('k')])]))],
  ])('%s detaches', async (_name, change) => {
    const made = await machine();
    made.put('k', 'v', { lease: 1n });
    change(made);
    const before = made.dump();
    made.revoke(1n);
    expect(made.dump()).toEqual(before);
  });

  test('ignore_lease keeps the lease, ignore_value the value', async () => {
    const made = await machine();
    made.put('k', '1', { lease: 1n });
    made.put('k', '2', { ignoreLease: true });
    made.put('k', '', { ignoreValue: true, lease: 2n });
    expect(made.dump()).toEqual(['k=2 2.4.3 lease 2']);
    made.revoke(1n);
    expect(made.dump()).toHaveLength(1);
    made.revoke(2n);
    expect(made.dump()).toEqual([]);
  });

  test('ignore_lease of a key whose lease is not known any more', async () => {
    const made = await machine();
    made.put('k', '1', { lease: 1n });
    // As it may come out of a database that another server has written.
    made.state.lessor.revoke(1n);
    expect(made.put('k', '2', { ignoreLease: true }).error).toBeUndefined();
    expect(made.dump()).toEqual(['k=2 2.3.2 lease 1']);
  });

  test('attachments are there after a restart', async () => {
    const made = await machine();
    made.put('k', 'v', { lease: 1n });
    made.put('l', 'v', { lease: 2n });
    made.put('l', 'v');
    await made.state.buffer.commit();
    const again = await Machine.open(made.backend);
    expect([...again.state.lessor.lookup(1n)!.keys]).toEqual(['k']);
    expect(again.state.lessor.lookup(2n)!.keys.size).toBe(0);
    again.revoke(1n);
    expect(again.dump()).toEqual(['l=v 3.4.2']);
  });
});

describe('alarms', () => {
  const listed = (made: Machine): unknown =>
    (made.alarm(GET, 0n, 0).response as etcdserverpb.AlarmResponse).alarms.map(({ memberID, alarm }) => [
      memberID,
      alarm,
    ]);

  test('stand until exactly they are cleared, and outlive a restart', async () => {
    const made = await Machine.open();
    made.alarm(ACTIVATE, 7n, NOSPACE);
    made.alarm(ACTIVATE, 7n, 0);
    made.alarm(DEACTIVATE, 8n, NOSPACE);
    expect(listed(made)).toEqual([[7n, NOSPACE]]);
    await made.state.buffer.commit();
    const again = await Machine.open(made.backend);
    expect(listed(again)).toEqual([[7n, NOSPACE]]);
    again.alarm(DEACTIVATE, 7n, NOSPACE);
    expect(listed(again)).toEqual([]);
  });

  test.each<[string, string | undefined, (made: Machine) => { error: { code: string } | undefined }]>([
    ['put', 'NO_SPACE', (made) => made.put('k', 'v')],
    ['lease grant', 'NO_SPACE', (made) => made.grant(2n)],
    ['transaction with a put', 'NO_SPACE', (made) => made.txn(txn([], [], [op.txn([], [op.put('k')])]))],
    ['transaction without', undefined, (made) => made.txn(txn([], [op.del('k'), op.get('k')]))],
    ['delete', undefined, (made) => made.delete('old')],
    ['revoke', undefined, (made) => made.revoke(1n)],
    ['compaction', undefined, (made) => made.compact(2)],
  ])('NOSPACE: %s: %s', async (_name, code, run) => {
    const made = await Machine.open();
    made.grant(1n);
    made.put('old', 'v');
    made.alarm(ACTIVATE, 7n, NOSPACE);
    expect(run(made).error?.code).toBe(code);
    made.alarm(DEACTIVATE, 7n, NOSPACE);
    expect(made.put('k', 'v').error).toBeUndefined();
  });

  test.each<[string, (made: Machine) => { error: { code: string } | undefined }]>([
    ['put', (made) => made.put('k', 'v')],
    ['delete', (made) => made.delete('old')],
    ['transaction', (made) => made.txn(txn([], [op.get('k')]))],
    ['compaction', (made) => made.compact(2)],
    ['grant', (made) => made.grant(2n)],
    ['revoke', (made) => made.revoke(1n)],
  ])('CORRUPT stops a %s', async (_name, run) => {
    const made = await Machine.open();
    made.grant(1n);
    made.put('old', 'v');
    made.alarm(ACTIVATE, 7n, CORRUPT);
    expect(run(made).error?.code).toBe('CORRUPT');
    expect(made.dump()).toEqual(['old=v 2.2.1']);
  });
});

describe('quota', () => {
  async function full(after: number): Promise<{ made: Machine; costs: number[]; raised: () => number }> {
    const costs: number[] = [];
    let raised = 0;
    const gauge: SpaceGauge = { admits: (cost) => costs.push(cost) <= after };
    const made = await Machine.open(undefined, {}, { gauge, onShort: () => raised++ });
    return { made, costs, raised: () => raised };
  }

  test('the command that finds it full is applied and says so; each asks for the alarm until it stands', async () => {
    const { made, raised } = await full(1);
    expect(made.put('a', 'v').error).toBeUndefined();
    expect(made.put('b', 'v').error?.code).toBe('NO_SPACE');
    expect(made.put('c', 'v').error?.code).toBe('NO_SPACE');
    expect(made.dump()).toHaveLength(3);
    expect(raised()).toBe(2);
    made.alarm(ACTIVATE, 7n, NOSPACE);
    expect(made.put('d', 'v').error?.code).toBe('NO_SPACE');
    expect(made.dump()).toHaveLength(3);
    expect(raised()).toBe(2);
  });

  test('costs: a put its bytes and 256, a lease 64, a transaction its dearer branch, nested ones too', async () => {
    const { made, costs } = await full(99);
    made.put('key', 'value');
    made.grant(1n);
    made.txn(txn([], [op.put('k', 'v')], [op.put('k', 'v'), op.txn([], [op.put('longer', 'v')])]));
    made.delete('key');
    made.txn(txn([], [op.del('k')]));
    made.put('k', 'v', { lease: 99n });
    expect(costs).toEqual([264, 64, 521]);
  });
});

describe('the log', () => {
  test('an entry that cannot be read stops the member', async () => {
    const made = await Machine.open();
    expect(() => made.applyData(Buffer.from([0xff]))).toThrow('entry 1 of term 1 cannot be read');
  });

  test('an empty entry is a leader’s first and changes nothing', async () => {
    const made = await Machine.open();
    made.applyData(Buffer.alloc(0));
    expect(made.state.consistentIndex).toBe(1);
    expect(made.revision).toBe(1);
  });

  test.each([2, 5])('entry %d in the place of 1 is a broken law', async (index) => {
    const made = await Machine.open();
    expect(() => made.applier.applyBatch([new Entry(1, index, EntryType.Normal, Buffer.alloc(0))])).toThrow(
      'the log has a gap or repeats',
    );
  });

  test('a command that changes what we do not keep stops the member; one that only reads does not', async () => {
    const made = await Machine.open();
    const command = (field: number): Buffer =>
      encodeCommand({ owner: 1, sequence: 1 }, field as CommandKind, Buffer.alloc(0));
    expect(made.applyData(command(1106)).error?.code).toBe('UNKNOWN_METHOD');
    expect(() => made.applyData(command(1500))).toThrow('the log asks for command 1500');
  });

  test('two members given the same entries are the same, whoever waits', async () => {
    const [one, two] = [await Machine.open(), await Machine.open()];
    let seed = 1;
    const random = (bound: number): number => (seed = (seed * 48_271) % 0x7fff_ffff) % bound;
    for (let i = 0; i < 400; i++) {
      const key = `k${random(9)}`;
      const kind = random(7);
      const commands: [CommandKind, Buffer][] = [
        [
          CommandKind.Put,
          etcdserverpb.encodePutRequest(
            new etcdserverpb.PutRequest({ key: bytes(key), value: bytes(`${i}`), lease: BigInt(random(3)) }),
          ),
        ],
        [
          CommandKind.DeleteRange,
          etcdserverpb.encodeDeleteRangeRequest(
            new etcdserverpb.DeleteRangeRequest({
              key: bytes(key),
              rangeEnd: bytes(random(2) === 0 ? '' : 'k9'),
            }),
          ),
        ],
        [
          CommandKind.Txn,
          etcdserverpb.encodeTxnRequest(
            txn([], [op.get('k'), op.put(key, `t${i}`), op.txn([], [op.del('k8')])]),
          ),
        ],
        [
          CommandKind.LeaseGrant,
          etcdserverpb.encodeLeaseGrantRequest(
            new etcdserverpb.LeaseGrantRequest({ ID: BigInt(1 + random(2)), TTL: 5 }),
          ),
        ],
        [
          CommandKind.LeaseRevoke,
          etcdserverpb.encodeLeaseRevokeRequest(
            new etcdserverpb.LeaseRevokeRequest({ ID: BigInt(1 + random(2)) }),
          ),
        ],
        [
          CommandKind.Compaction,
          etcdserverpb.encodeCompactionRequest(
            new etcdserverpb.CompactionRequest({ revision: one.revision - 3 }),
          ),
        ],
        [
          CommandKind.Alarm,
          etcdserverpb.encodeAlarmRequest(
            new etcdserverpb.AlarmRequest({
              action: random(2) === 0 ? ACTIVATE : DEACTIVATE,
              memberID: 1n,
              alarm: NOSPACE,
            }),
          ),
        ],
      ];
      const [field, body] = commands[kind];
      one.run(field, body, true);
      two.run(field, body, random(2) === 0);
    }
    expect(two.dump()).toEqual(one.dump());
    expect(two.events.map((event) => [event.type, event.kv.keyString, event.kv.modRevision])).toEqual(
      one.events.map((event) => [event.type, event.kv.keyString, event.kv.modRevision]),
    );
    expect(await two.state.mvcc.hashKV(0)).toEqual(await one.state.mvcc.hashKV(0));
  });
});
