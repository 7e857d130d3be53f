import { describe, expect, test } from '@jest/globals';
import { EMPTY } from '@keelson/base';
import { etcdserverpb, membershippb } from '@keelson/proto';
import fc from 'fast-check';
import { CommandError, CommandKind, decodeCommand, encodeCommand, LoneWrite } from './command.ts';

const owner = fc.integer({ min: 0, max: 0xffff });
const sequence = fc.oneof(
  fc.integer({ min: 0, max: 2 ** 48 - 1 }),
  fc.constantFrom(0, 1, 127, 128, 2 ** 32, 2 ** 35 - 1, 2 ** 42 - 1, 2 ** 42, 2 ** 48 - 1),
);
const headerId = (id: { owner: number; sequence: number }): bigint =>
  (BigInt(id.owner) << 48n) | BigInt(id.sequence);

describe('against the generated codec', () => {
  test('what we write is an InternalRaftRequest', () => {
    fc.assert(
      fc.property(owner, sequence, fc.uint8Array({ maxLength: 300 }), (o, s, value) => {
        // An id of 0 names nobody and is never drawn; proto3 would leave it out.
        fc.pre(o !== 0 || s !== 0);
        const put = new etcdserverpb.PutRequest({ key: Buffer.from('k'), value: Buffer.from(value) });
        const bytes = encodeCommand(
          { owner: o, sequence: s },
          CommandKind.Put,
          etcdserverpb.encodePutRequest(put),
        );
        const decoded = etcdserverpb.decodeInternalRaftRequest(bytes);
        expect(decoded.header!.ID).toBe(headerId({ owner: o, sequence: s }));
        expect(decoded.put).toEqual(put);
        const same = new etcdserverpb.InternalRaftRequest({
          header: new etcdserverpb.RequestHeader({ ID: headerId({ owner: o, sequence: s }) }),
          put,
        });
        expect(bytes.length).toBe(etcdserverpb.encodeInternalRaftRequest(same).length);
      }),
    );
  });

  test('what an etcd writes is read', () => {
    fc.assert(
      fc.property(
        owner,
        sequence,
        fc.string(),
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        (o, s, username, ID) => {
          const header = new etcdserverpb.RequestHeader({
            ID: headerId({ owner: o, sequence: s }),
            username,
            authRevision: 7,
          });
          const attributes = new membershippb.ClusterMemberAttrSetRequest({ memberID: ID });
          const request = new etcdserverpb.InternalRaftRequest({ header, clusterMemberAttrSet: attributes });
          const command = decodeCommand(etcdserverpb.encodeInternalRaftRequest(request));
          expect(command).toMatchObject({ owner: o, sequence: s, kind: CommandKind.ClusterMemberAttrSet });
          expect(membershippb.decodeClusterMemberAttrSetRequest(command.body).memberID).toBe(ID);
        },
      ),
    );
  });

  test.each(Object.entries(CommandKind))('%s is field %d', (name, kind) => {
    const command = decodeCommand(encodeCommand({ owner: 3, sequence: 5 }, kind, Buffer.from([1, 2, 3])));
    expect(command).toMatchObject({ owner: 3, sequence: 5, kind, body: Buffer.from([1, 2, 3]) });
    const field = name[0].toLowerCase() + name.slice(1);
    expect(Object.keys(new etcdserverpb.InternalRaftRequest())).toContain(field);
  });

  test('an old ID field, unknown fields and the order of fields do not matter', () => {
    const put = etcdserverpb.encodePutRequest(new etcdserverpb.PutRequest({ key: Buffer.from('k') }));
    const header = Buffer.from([0xa2, 0x06, 2, 0x08, 5]);
    const id = Buffer.from([0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    const fixed = Buffer.concat([Buffer.from([0x79]), Buffer.alloc(8), Buffer.from([0x7d]), Buffer.alloc(4)]);
    const command = decodeCommand(Buffer.concat([header, id, fixed, Buffer.from([0x22, put.length]), put]));
    expect(command).toMatchObject({ owner: 0, sequence: 5, kind: CommandKind.Put, body: put });
  });
});

describe('bytes that are none', () => {
  const whole = encodeCommand({ owner: 9, sequence: 77 }, CommandKind.Txn, Buffer.from('body'));
  test('every truncation is refused or an envelope without its end', () => {
    for (let length = 1; length < whole.length; length++) {
      const cut = whole.subarray(0, length);
      // Cut between fields it is a request without a header; everywhere else it must be noticed.
      if (length === 6) expect(decodeCommand(cut)).toMatchObject({ kind: CommandKind.Txn, sequence: 0 });
      else expect(() => decodeCommand(cut)).toThrow(CommandError);
    }
  });

  test.each([
    ['a tag without end', 'ffffffffffffffffffff01'],
    ['a length without end', '22ffffffffffffffffff01'],
    ['a length beyond the end', '2205aa'],
    ['wire type 3', '0b'],
    ['wire type 7', '0f'],
    ['fixed64 cut', '790000'],
    ['a header id without end', 'a2060c08ffffffffffffffffffffff'],
  ])('%s', (_name, hex) => {
    expect(() => decodeCommand(Buffer.from(hex, 'hex'))).toThrow(CommandError);
  });

  test('random bytes give a command or a CommandError, never anything else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          decodeCommand(Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(CommandError);
        }
      }),
    );
  });
});

describe('a lone put or delete, read in place', () => {
  const lone = new LoneWrite();
  const readSlowly = (data: Buffer): unknown => {
    const command = decodeCommand(data);
    const put = etcdserverpb.decodePutRequest(command.body);
    const { prevKv, ignoreValue, ignoreLease, lease } = put;
    return {
      ...{ kind: command.kind, owner: command.owner, sequence: command.sequence, identity: command.identity },
      ...{
        key: put.key.toString('latin1'),
        value: put.value,
        lease,
        options: prevKv || ignoreValue || ignoreLease,
      },
    };
  };
  const readFast = (data: Buffer): unknown => {
    const { kind, owner, sequence, key, valueStart, valueEnd, lease } = lone;
    const value = data.subarray(valueStart, valueEnd);
    return { kind, owner, sequence, identity: undefined, key, value, lease, options: false };
  };
  const body = (key: Uint8Array, value: Uint8Array, lease: bigint, prevKv = false): Buffer =>
    etcdserverpb.encodePutRequest(
      new etcdserverpb.PutRequest({ key: Buffer.from(key), value: Buffer.from(value), lease, prevKv }),
    );
  const key = fc.uint8Array({ minLength: 1, maxLength: 127 });
  const lease = fc.oneof(fc.constant(0n), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }));

  test('is what the longer way reads', () => {
    fc.assert(
      fc.property(owner, sequence, key, fc.uint8Array({ maxLength: 400 }), lease, (o, s, k, v, l) => {
        const data = encodeCommand({ owner: o, sequence: s }, CommandKind.Put, body(k, v, l));
        expect(lone.read(data)).toBe(true);
        expect(readFast(data)).toEqual(readSlowly(data));
      }),
    );
  });

  test('a delete of one key is read too, wherever it lies among its neighbours', () => {
    fc.assert(
      fc.property(
        owner,
        sequence,
        key,
        fc.nat(40),
        fc.uint8Array({ maxLength: 40 }),
        (o, s, k, before, after) => {
          const request = new etcdserverpb.DeleteRangeRequest({ key: Buffer.from(k) });
          const bytes = etcdserverpb.encodeDeleteRangeRequest(request);
          const data = encodeCommand({ owner: o, sequence: s }, CommandKind.DeleteRange, bytes);
          const block = Buffer.concat([Buffer.alloc(before, 0xff), data, after]);
          expect(lone.read(block, before, before + data.length)).toBe(true);
          expect(readFast(block)).toEqual(readSlowly(data));
        },
      ),
    );
  });

  const deletion = (fields: Partial<etcdserverpb.DeleteRangeRequest>): Buffer => {
    const request = new etcdserverpb.DeleteRangeRequest({ key: Buffer.from('k'), ...fields });
    const bytes = etcdserverpb.encodeDeleteRangeRequest(request);
    return encodeCommand({ owner: 1, sequence: 2 }, CommandKind.DeleteRange, bytes);
  };

  test.each<[string, Buffer]>([
    ['a delete of a range', deletion({ rangeEnd: Buffer.from('l') })],
    ['a delete that wants what was there', deletion({ prevKv: true })],
    [
      'an option',
      encodeCommand({ owner: 1, sequence: 2 }, CommandKind.Put, body(Buffer.from('k'), EMPTY, 0n, true)),
    ],
    [
      'a caller',
      encodeCommand({ owner: 1, sequence: 2 }, CommandKind.Put, body(Buffer.from('k'), EMPTY, 0n), {
        username: 'u',
        revision: 1,
      }),
    ],
    [
      'a long key',
      encodeCommand({ owner: 1, sequence: 2 }, CommandKind.Put, body(Buffer.alloc(128, 1), EMPTY, 0n)),
    ],
    [
      'a value of 16 KiB',
      encodeCommand(
        { owner: 1, sequence: 2 },
        CommandKind.Put,
        body(Buffer.from('k'), Buffer.alloc(16_384), 0n),
      ),
    ],
    [
      'another command',
      encodeCommand({ owner: 1, sequence: 2 }, CommandKind.Txn, body(Buffer.from('k'), EMPTY, 0n)),
    ],
    ['nothing', EMPTY],
  ])('%s is left to the longer way', (_what, data) => {
    expect(lone.read(data)).toBe(false);
  });

  test('damaged bytes are never read as something else', () => {
    const data = fc
      .tuple(owner, sequence, key, fc.uint8Array({ maxLength: 40 }), lease)
      .map(([o, s, k, v, l]) => encodeCommand({ owner: o, sequence: s }, CommandKind.Put, body(k, v, l)));
    const change = fc.record({ at: fc.nat(), byte: fc.nat(255), cut: fc.boolean() });
    let kept = 0;
    fc.assert(
      fc.property(data, fc.array(change, { minLength: 1, maxLength: 3 }), (whole, changes) => {
        let bytes = Buffer.from(whole);
        for (const { at, byte, cut } of changes) {
          if (bytes.length === 0) break;
          if (cut) bytes = bytes.subarray(0, at % bytes.length);
          else bytes[at % bytes.length] = byte;
        }
        if (!lone.read(bytes)) return;
        kept++;
        expect(readFast(bytes)).toEqual(readSlowly(bytes));
      }),
      { numRuns: 2000 },
    );
    expect(kept).toBeGreaterThan(20);
  });
});
