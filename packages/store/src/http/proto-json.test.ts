import { beforeAll, describe, expect, test } from '@jest/globals';
import { etcdserverpb, loadDescriptors } from '@keelson/proto';
import fc from 'fast-check';
import { JsonError, readJson, type JsonValue } from './json-reader.ts';
import { MappingError, ProtoJson } from './proto-json.ts';

let mapping: ProtoJson;
beforeAll(async () => {
  mapping = new ProtoJson(await loadDescriptors());
});

function encode(type: string, text: string): Buffer {
  return mapping.encode(`etcdserverpb.${type}`, readJson(text), text);
}

/** What JSON.parse would give; numbers as they are written there. */
function plain(value: JsonValue): unknown {
  switch (value.kind) {
    case 'null':
      return null;
    case 'boolean':
    case 'string':
      return value.value;
    case 'number':
      return Number(value.text);
    case 'array':
      return value.items.map(plain);
    case 'object':
      return Object.fromEntries(value.members.map(({ name, value: inner }) => [name, plain(inner)]));
  }
}

describe('reading JSON', () => {
  test('gives what JSON.parse gives', () => {
    const options = { depthSize: 'small', withUnicodeString: true } as const;
    fc.assert(
      fc.property(fc.json(options), fc.constantFrom('', ' ', '\n\t'), (text, blank) => {
        expect(plain(readJson(blank + text + blank))).toEqual(JSON.parse(text));
      }),
    );
  });

  test('keeps numbers as they were written', () => {
    const value = readJson('[9223372036854775807,-0,1.50,1E3]');
    expect(value.kind === 'array' && value.items.map((item) => item.kind === 'number' && item.text)).toEqual([
      '9223372036854775807',
      '-0',
      '1.50',
      '1E3',
    ]);
  });

  test('looks at the first value only', () => {
    expect(plain(readJson('{"a":1} what follows'))).toEqual({ a: 1 });
  });

  // The texts of Go's encoding/json.
  test.each<[string, string]>([
    ['', 'unexpected EOF'],
    ['{"a"', 'unexpected EOF'],
    ['{"a":', 'unexpected EOF'],
    ['"abc', 'unexpected EOF'],
    ['tru', 'unexpected EOF'],
    ['x', "invalid character 'x' looking for beginning of value"],
    ['{a', "invalid character 'a' looking for beginning of object key string"],
    ['{"a" 1', "invalid character '1' after object key"],
    ['{"a":1 "b"', "invalid character '\"' after object key:value pair"],
    ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
    ['[1 2]', "invalid character '2' after array element"],
    ['[1,]', "invalid character ']' looking for beginning of value"],
    ['truth', "invalid character 't' in literal true (expecting 'e')"],
    ['-x', "invalid character 'x' in numeric literal"],
    ['"\\x"', "invalid character 'x' in string escape code"],
    ['"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"],
    ['"a\nb"', "invalid character '\\n' in string literal"],
    ['['.repeat(600), 'exceeded max depth'],
  ])('%s', (text, message) => {
    expect(() => readJson(text)).toThrow(new JsonError(message));
  });
});

describe('JSON to bytes', () => {
  test.each<[string, string, string, unknown]>([
    ['an empty object', 'RangeRequest', '{}', {}],
    ['bytes', 'RangeRequest', '{"key":"Zm9v"}', { key: 'foo' }],
    ['bytes in the URL alphabet, unpadded', 'RangeRequest', '{"key":"_-8"}', { key: '\xff\xef' }],
    ['names in camel case', 'RangeRequest', '{"rangeEnd":"AA=="}', { rangeEnd: '\0' }],
    ['names as in the .proto', 'RangeRequest', '{"range_end":"AA=="}', { rangeEnd: '\0' }],
    ['an integer as text', 'RangeRequest', '{"limit":"5"}', { limit: 5 }],
    ['an integer as a number', 'RangeRequest', '{"limit":5}', { limit: 5 }],
    ['an integer with an exponent', 'RangeRequest', '{"limit":5e1}', { limit: 50 }],
    ['an enum by name', 'RangeRequest', '{"sort_order":"DESCEND"}', { sortOrder: 2 }],
    ['an enum by number', 'RangeRequest', '{"sort_order":2}', { sortOrder: 2 }],
    ['an enum without a name', 'RangeRequest', '{"sort_order":77}', { sortOrder: 77 }],
    ['an unknown name of an enum', 'RangeRequest', '{"sort_order":"BAD"}', {}],
    ['unknown fields', 'RangeRequest', '{"bogus":{"a":[1]},"limit":1}', { limit: 1 }],
    ['null', 'RangeRequest', '{"key":null,"limit":null}', {}],
    ['a lease beyond 2^53', 'PutRequest', '{"lease":"9223372036854775807"}', { lease: 9223372036854775807n }],
    [
      'a negative lease, bare',
      'PutRequest',
      '{"lease":-9223372036854775808}',
      { lease: -9223372036854775808n },
    ],
    ['a repeated enum', 'WatchCreateRequest', '{"filters":["NOPUT",1]}', { filters: [0, 1] }],
    ['capitals', 'LeaseGrantRequest', '{"ID":"7","TTL":3}', { ID: 7n, TTL: 3 }],
    ['text', 'AuthUserAddRequest', '{"name":"\\u00e4\\ud83d\\ude00"}', { name: 'ä😀' }],
  ])('%s', (_name, type, text, want) => {
    const codecs: Readonly<Record<string, (bytes: Buffer) => object>> = {
      RangeRequest: etcdserverpb.decodeRangeRequest,
      PutRequest: etcdserverpb.decodePutRequest,
      WatchCreateRequest: etcdserverpb.decodeWatchCreateRequest,
      LeaseGrantRequest: etcdserverpb.decodeLeaseGrantRequest,
      AuthUserAddRequest: etcdserverpb.decodeAuthUserAddRequest,
    };
    const message = codecs[type](encode(type, text));
    const empty = codecs[type](Buffer.alloc(0));
    const told = Object.entries(message)
      .map(([key, value]): [string, unknown] => [
        key,
        Buffer.isBuffer(value) ? value.toString('latin1') : value,
      ])
      .filter(([key, value]) => {
        const zero: unknown = Reflect.get(empty, key);
        return Buffer.isBuffer(zero)
          ? value !== ''
          : JSON.stringify([String(value)]) !== JSON.stringify([String(zero)]);
      });
    expect(Object.fromEntries(told)).toEqual(want);
  });

  test.each<[string, string, string]>([
    ['RangeRequest', '{"key":1}', 'proto: (line 1:8): invalid value for bytes field key: 1'],
    ['RangeRequest', '{"key":"a"}', 'proto: (line 1:8): invalid value for bytes field key: "a"'],
    ['RangeRequest', '{"key":"Zm9v="}', 'proto: (line 1:8): invalid value for bytes field key: "Zm9v="'],
    ['RangeRequest', '{\n "limit": "x"}', 'proto: (line 2:11): invalid value for int64 field limit: "x"'],
    ['RangeRequest', '{"limit":1.5}', 'proto: (line 1:10): invalid value for int64 field limit: 1.5'],
    ['RangeRequest', '{"limit":""}', 'proto: (line 1:10): invalid value for int64 field limit: ""'],
    ['RangeRequest', '{"limit":" 1"}', 'proto: (line 1:10): invalid value for int64 field limit: " 1"'],
    [
      'PutRequest',
      '{"lease":9223372036854775808}',
      'proto: (line 1:10): invalid value for int64 field lease: 9223372036854775808',
    ],
    ['PutRequest', '{"prev_kv":"true"}', 'proto: (line 1:12): invalid value for bool field prev_kv: "true"'],
    ['PutRequest', '{"key":"YQ==","key":"YQ=="}', 'proto: (line 1:15): duplicate field "key"'],
    ['WatchCreateRequest', '{"filters":1}', 'proto: (line 1:12): unexpected token 1'],
    [
      'WatchCreateRequest',
      '{"filters":[null]}',
      'proto: (line 1:13): invalid value for enum field filters: null',
    ],
    [
      'AuthUserAddRequest',
      '{"name":"\\ud800"}',
      'proto: (line 1:9): invalid value for string field name: "\\ud800"',
    ],
    ['TxnRequest', '[]', 'proto: (line 1:1): unexpected token ['],
    ['TxnRequest', '{"success":[[]]}', 'proto: (line 1:13): unexpected token ['],
    [
      'RequestOp',
      '{"request_put":{},"request_range":{}}',
      'proto: (line 1:19): error parsing "request_range", oneof request is already set',
    ],
  ])('%s %s', (type, text, message) => {
    expect(() => encode(type, text)).toThrow(new MappingError(message));
  });
});

describe('bytes to JSON', () => {
  test('leaves zeros out, writes 64 bits as text and keeps the order of declaration', () => {
    const response = new etcdserverpb.RangeResponse({
      header: new etcdserverpb.ResponseHeader({ clusterId: 18446744073709551615n, revision: 0, raftTerm: 2 }),
      more: true,
      count: 3,
    });
    expect(mapping.decode('etcdserverpb.RangeResponse', etcdserverpb.encodeRangeResponse(response))).toBe(
      '{"header":{"cluster_id":"18446744073709551615","raft_term":"2"},"more":true,"count":"3"}',
    );
    expect(mapping.decode('etcdserverpb.DefragmentResponse', Buffer.alloc(0))).toBe('{}');
  });

  test('signs: a watch id of -1, a TTL of -1', () => {
    const gone = new etcdserverpb.LeaseTimeToLiveResponse({ ID: -5n, TTL: -1 });
    const bytes = etcdserverpb.encodeLeaseTimeToLiveResponse(gone);
    expect(mapping.decode('etcdserverpb.LeaseTimeToLiveResponse', bytes)).toBe('{"ID":"-5","TTL":"-1"}');
  });

  test('a transaction comes back as it went', () => {
    const bytes = fc.uint8Array({ maxLength: 9 }).map((value) => Buffer.from(value));
    const int63 = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
    const put = fc
      .record({ key: bytes, value: bytes, lease: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) })
      .map((fields) => new etcdserverpb.RequestOp({ requestPut: new etcdserverpb.PutRequest(fields) }));
    const range = fc
      .record({ key: bytes, limit: int63, sortOrder: fc.constantFrom(0, 1, 2, 9), keysOnly: fc.boolean() })
      .map((fields) => new etcdserverpb.RequestOp({ requestRange: new etcdserverpb.RangeRequest(fields) }));
    const compare = fc
      .record({ key: bytes, result: fc.constantFrom(0, 1, 2, 3), version: int63 })
      .map((fields) => new etcdserverpb.Compare(fields));
    const txn = fc
      .record({
        compare: fc.array(compare, { maxLength: 3 }),
        success: fc.array(fc.oneof(put, range), { maxLength: 3 }),
      })
      .map((fields) => new etcdserverpb.TxnRequest(fields));
    fc.assert(
      fc.property(txn, (request) => {
        const encoded = etcdserverpb.encodeTxnRequest(request);
        const text = mapping.decode('etcdserverpb.TxnRequest', encoded);
        expect(etcdserverpb.decodeTxnRequest(encode('TxnRequest', text))).toEqual(
          etcdserverpb.decodeTxnRequest(encoded),
        );
        expect(() => JSON.parse(text) as unknown).not.toThrow();
      }),
    );
  });
});
