import { describe, expect, test } from '@jest/globals';
import { Membership } from '../membership/membership.ts';
import { decodeCommand, V2_REQUEST } from './command.ts';
import { applyV2Request } from './v2-request.ts';

const ID = 0x8e9e05c52164694dn;

/** A `Request` as etcd 3.4 writes it: proto2, so every scalar is there, empty or not. */
function request(method: string, path: string, value: string): Buffer {
  const text = (field: number, content: string): Buffer =>
    Buffer.concat([Buffer.from([(field << 3) | 2, content.length]), Buffer.from(content)]);
  const zero = (field: number): Buffer => Buffer.from([field << 3, 0]);
  return Buffer.concat([
    Buffer.from([0x08, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0xb3, 0x90, 0x01]),
    text(2, method),
    text(3, path),
    text(4, value),
    zero(5),
    text(6, ''),
    zero(7),
    zero(9),
    zero(10),
    zero(11),
    zero(12),
    zero(13),
    zero(14),
    zero(15),
    Buffer.from([0x80, 0x01, 0x00]),
  ]);
}

function membership(): Membership {
  const store = {
    putMember() {},
    deleteMember() {},
    putRemoved() {},
    putClusterVersion() {},
    putDowngrade() {},
  };
  const made = new Membership(store, () => {}, { learnersMax: 1 });
  made.add({ id: ID, peerUrls: ['http://a:2380'], isLearner: false, name: '', clientUrls: [] });
  return made;
}

const path = `/0/members/${ID.toString(16)}/attributes`;

describe('a bare request of the v2 tree on the log', () => {
  test('is told from the envelope, whose other fields its own would be taken for', () => {
    const data = request('PUT', path, '{}');
    expect(decodeCommand(data)).toMatchObject({ owner: 0, sequence: 0, kind: V2_REQUEST });
    expect(decodeCommand(data).body).toEqual(data);
  });

  test('inside the envelope it is its body', () => {
    const body = request('PUT', '/0/version', '3.5.0');
    const data = Buffer.concat([Buffer.from([0x12, body.length]), body]);
    expect(decodeCommand(data)).toMatchObject({ kind: V2_REQUEST, body });
  });

  test.each<[string, Buffer, { name: string; clientUrls: string[]; version: string }]>([
    [
      'attributes',
      request('PUT', path, '{"name":"m1","clientURLs":["http://a:2379"]}'),
      { name: 'm1', clientUrls: ['http://a:2379'], version: '' },
    ],
    ['attributes without any', request('PUT', path, '{}'), { name: '', clientUrls: [], version: '' }],
    [
      'the version of the cluster',
      request('PUT', '/0/version', '3.4.0'),
      { name: '', clientUrls: [], version: '3.4.0' },
    ],
    ['a key of the v2 space', request('PUT', '/1/foo', 'bar'), { name: '', clientUrls: [], version: '' }],
    ['a delete', request('DELETE', '/0/version', ''), { name: '', clientUrls: [], version: '' }],
    ['a sync', request('SYNC', '', ''), { name: '', clientUrls: [], version: '' }],
    [
      'a member nobody knows',
      request('PUT', '/0/members/1/attributes', '{"name":"x"}'),
      { name: '', clientUrls: [], version: '' },
    ],
  ])('does what it says: %s', (_name, data, want) => {
    const target = membership();
    applyV2Request(target, decodeCommand(data).body);
    expect(target.get(ID)).toMatchObject({ name: want.name, clientUrls: want.clientUrls });
    expect(target.size).toBe(1);
    expect(target.clusterVersion).toBe(want.version);
  });
});
