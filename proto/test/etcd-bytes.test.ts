/**
 * Bytes that a real etcd 3.4.23 wrote, to its WAL and .snap files and to a peer: each is read as what it
 * is known to say and written again bit for bit. These hold the list of always-written fields in place.
 */
import { describe, expect, test } from '@jest/globals';
import { etcdserverpb, raftpb, walpb } from '../gen/index.ts';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');

describe('WAL records', () => {
  test.each<[string, string, number, number, string | undefined]>([
    ['crc, the first of a file', '08041000', 4, 0, undefined],
    [
      'metadata',
      '080110adffce85071a1608e88a8e94a59dc589ec01109ef7b1dac7dde5e9df01',
      1,
      1890828205,
      '08e88a8e94a59dc589ec01109ef7b1dac7dde5e9df01',
    ],
    ['the snapshot marker of an empty log', '080510a686c9e60f1a0408001000', 5, 4241638182, '08001000'],
    ['an entry', '080210d8d1d8f2031a06080010021802', 2, 1045833944, '080010021802'],
    ['a hard state', '080310dfa5e6b3061a06080110001801', 3, 1719243487, '080110001801'],
  ])('%s', (_name, text, type, crc, data) => {
    const record = walpb.decodeRecord(hex(text));
    expect([record.type, record.crc, record.data?.toString('hex')]).toEqual([type, crc, data]);
    expect(walpb.encodeRecord(record).toString('hex')).toBe(text);
  });
});

describe('what the records hold', () => {
  test('metadata', () => {
    const text = '08e88a8e94a59dc589ec01109ef7b1dac7dde5e9df01';
    const metadata = etcdserverpb.decodeMetadata(hex(text));
    expect(metadata).toEqual(
      new etcdserverpb.Metadata({ NodeID: 0xec1314ea52838568n, ClusterID: 0xdfd396ec7b4c7b9en }),
    );
    expect(etcdserverpb.encodeMetadata(metadata).toString('hex')).toBe(text);
  });

  test.each<[string, string, Partial<walpb.Snapshot>]>([
    ['of an empty log', '08001000', {}],
    ['of index 12 in term 2', '080c1002', { index: 12, term: 2 }],
  ])('a snapshot marker %s', (_name, text, want) => {
    expect(walpb.decodeSnapshot(hex(text))).toEqual(new walpb.Snapshot(want));
    expect(walpb.encodeSnapshot(new walpb.Snapshot(want)).toString('hex')).toBe(text);
  });

  test.each<[string, string, Partial<raftpb.HardState>]>([
    ['before any vote', '080110001801', { term: 1, commit: 1 }],
    ['after a vote', '080210e88a8e94a59dc589ec011802', { term: 2, vote: 0xec1314ea52838568n, commit: 2 }],
  ])('a hard state %s', (_name, text, want) => {
    expect(raftpb.decodeHardState(hex(text))).toEqual(new raftpb.HardState(want));
    expect(raftpb.encodeHardState(new raftpb.HardState(want)).toString('hex')).toBe(text);
  });

  test('the entry a new leader begins its term with has no data', () => {
    const entry = raftpb.decodeEntry(hex('080010021802'));
    expect(entry).toEqual(new raftpb.Entry({ Term: 2, Index: 2 }));
    expect(raftpb.encodeEntry(entry).toString('hex')).toBe('080010021802');
  });

  test('a put', () => {
    const text = '080010021805221622060a0161120131a2060b0886f280cdc3bfa8b48501';
    const entry = raftpb.decodeEntry(hex(text));
    expect([entry.Type, entry.Term, entry.Index]).toEqual([raftpb.EntryType.EntryNormal, 2, 5]);
    expect(raftpb.encodeEntry(entry).toString('hex')).toBe(text);
    const data = entry.Data ?? Buffer.alloc(0);
    const request = etcdserverpb.decodeInternalRaftRequest(data);
    expect(request).toEqual(
      new etcdserverpb.InternalRaftRequest({
        header: new etcdserverpb.RequestHeader({ ID: 0x8568a1fc39a03906n }),
        put: new etcdserverpb.PutRequest({ key: Buffer.from('a'), value: Buffer.from('1') }),
      }),
    );
    expect(etcdserverpb.encodeInternalRaftRequest(request).equals(data)).toBe(true);
  });

  test('a lease grant', () => {
    const text = '420c08641089f280cdc3bfa8b405a2060b088af280cdc3bfa8b48501';
    const request = etcdserverpb.decodeInternalRaftRequest(hex(text));
    expect(request.leaseGrant).toEqual(
      new etcdserverpb.LeaseGrantRequest({ TTL: 100, ID: 0x568a1fc39a03909n }),
    );
    expect(etcdserverpb.encodeInternalRaftRequest(request).toString('hex')).toBe(text);
  });

  test('the conf change that adds the first member', () => {
    const member = '{"id":17010963214147749224,"peerURLs":["http://127.0.0.1:41380"],"name":"m1"}';
    const text = `0800100018e88a8e94a59dc589ec01224d${Buffer.from(member).toString('hex')}`;
    const change = raftpb.decodeConfChange(hex(text));
    expect(change).toEqual(
      new raftpb.ConfChange({ nodeId: 0xec1314ea52838568n, context: Buffer.from(member) }),
    );
    expect(raftpb.encodeConfChange(change).toString('hex')).toBe(text);
  });
});

test('the metadata of a .snap file, with a learner', () => {
  const text = '0a1708e88a8e94a59dc589ec01108edceafff6bcb3873a280010181802';
  const metadata = raftpb.decodeSnapshotMetadata(hex(text));
  expect(metadata).toEqual(
    new raftpb.SnapshotMetadata({
      confState: new raftpb.ConfState({ voters: [0xec1314ea52838568n], learners: [0x3a0ecde76ffaae0en] }),
      index: 24,
      term: 2,
    }),
  );
  expect(raftpb.encodeSnapshotMetadata(metadata).toString('hex')).toBe(text);
});

test('a heartbeat to a peer: as 3.4 wrote it, and the vote that 3.6 added after it', () => {
  // 3.4 still writes an empty snapshot into every message; 3.6 leaves it out.
  const head = '0808108edceafff6bcb3873a18e88a8e94a59dc589ec012003280030004000';
  const emptySnapshot = '4a0a12080a02280010001800';
  const old = raftpb.decodeMessage(hex(`${head}${emptySnapshot}50005800`));
  expect(old).toEqual(
    new raftpb.Message({
      type: raftpb.MessageType.MsgHeartbeat,
      to: 0x3a0ecde76ffaae0en,
      from: 0xec1314ea52838568n,
      term: 3,
      snapshot: new raftpb.Snapshot(),
    }),
  );
  expect(raftpb.encodeMessage(old).toString('hex')).toBe(`${head}${emptySnapshot}500058006800`);
  old.snapshot = undefined;
  expect(raftpb.encodeMessage(old).toString('hex')).toBe(`${head}500058006800`);
});
