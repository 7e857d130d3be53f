import { describe, expect, test } from '@jest/globals';

import type { KubeObject } from '../api/meta.ts';
import { isEnvelope, writeEnvelope } from '../codec/envelope.ts';
import { ProtobufCodec } from '../codec/protobuf.ts';
import { TypeTable } from '../schema/type-table.ts';
import { builtInCodec, customCodec, type BuiltInCodecOptions } from './object-codec.ts';

const table = new TypeTable();
const schemaProps = table.struct('apiextensions.v1.JSONSchemaProps');
const protobuf = new ProtobufCodec(schemaProps);
const stored = { apiVersion: 'v1', kind: 'ConfigMap', struct: table.struct('core.v1.ConfigMap') };

function configMaps(options: Partial<BuiltInCodecOptions> = {}): ReturnType<typeof builtInCodec> {
  return builtInCodec({ protobuf, schemaProps, stored, ...options });
}

const map: KubeObject = {
  kind: 'ConfigMap',
  apiVersion: 'v1',
  metadata: {
    name: 'a',
    namespace: 'ns',
    uid: 'u',
    resourceVersion: '41',
    creationTimestamp: '2026-01-02T03:04:05Z',
    labels: { a: 'b' },
  },
  data: { k: 'v' },
};
const at = (resourceVersion: string): KubeObject => ({
  ...map,
  metadata: { ...map.metadata, resourceVersion },
});

describe('built-in kinds', () => {
  test('are protobuf, or JSON when told so; both are read, with the revision in its place', () => {
    const binary = configMaps();
    const text = configMaps({ mediaType: 'json' });
    expect(isEnvelope(binary.encode(map))).toBe(true);
    expect(text.encode(map).toString()).toBe(
      '{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","namespace":"ns","uid":"u",' +
        '"creationTimestamp":"2026-01-02T03:04:05Z","labels":{"a":"b"}},"data":{"k":"v"}}\n',
    );
    for (const writer of [binary, text]) {
      for (const reader of [binary, text]) {
        const value = reader.decode(writer.encode(map), '42');
        expect(value).toEqual(at('42'));
        expect(Object.keys(value)).toEqual(['kind', 'apiVersion', 'metadata', 'data']);
        expect(Object.keys(value.metadata)).toEqual([
          'name',
          'namespace',
          'uid',
          'resourceVersion',
          'creationTimestamp',
          'labels',
        ]);
      }
    }
  });

  test('the revision and the selfLink are not stored', () => {
    const linked = { ...map, metadata: { ...map.metadata, selfLink: '/api/v1/x' } as never };
    for (const codec of [configMaps(), configMaps({ mediaType: 'json' })]) {
      expect(codec.encode(linked).equals(codec.encode(at('7')))).toBe(true);
    }
  });

  test('what was written in another version is converted', () => {
    const codec = configMaps({
      readable: [
        {
          ...stored,
          apiVersion: 'v0',
          convert: (value) => ({ ...value, apiVersion: 'v1', data: { from: value.apiVersion } }),
        },
      ],
    });
    const old = writeEnvelope('v0', 'ConfigMap', protobuf.encode(stored.struct, { data: { k: 'v' } }));
    expect(codec.decode(old, '3')).toMatchObject({
      apiVersion: 'v1',
      metadata: { resourceVersion: '3' },
      data: { from: 'v0' },
    });
  });

  test.each([
    [
      'an unknown kind',
      writeEnvelope('v9', 'Thing', Buffer.alloc(0)),
      'no kind "Thing" is registered for version "v9"',
    ],
    [
      'JSON of no kind',
      Buffer.from('{"apiVersion":"v1","metadata":{}}'),
      "Object 'Kind' is missing in the stored value",
    ],
    ['a list', Buffer.from('[]'), 'the stored value is no object'],
    ['half of it', configMaps().encode(map).subarray(0, 30), ''],
    ['nothing', Buffer.alloc(0), ''],
  ])('%s is refused', (_name, bytes, message) => {
    expect(() => configMaps().decode(bytes, '1')).toThrow(message);
  });

  test('another kind is never written', () => {
    expect(() => configMaps().encode({ ...map, kind: 'Secret' })).toThrow('is not what is stored');
  });
});

describe('custom resources', () => {
  test('are JSON as they are, integers whole, strange names kept', () => {
    const codec = customCodec();
    const text =
      '{"apiVersion":"x.io/v1","kind":"X","metadata":{"name":"a","uid":"u"},' +
      '"spec":{"__proto__":1,"big":9007199254740993,"one":1.5}}\n';
    const value = codec.decode(Buffer.from(text), '9');
    expect(Object.keys(value.metadata)).toEqual(['name', 'resourceVersion', 'uid']);
    expect(codec.encode(value).toString()).toBe(text);
  });
});
