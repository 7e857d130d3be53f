/** Both forms of each golden object must give the other to the byte. */

import { describe, expect, test } from '@jest/globals';

import { goldenNames, HAS_GOLDEN, readGolden } from '../../test/golden.ts';
import { TypeTable } from '../schema/type-table.ts';
import { isEnvelope, readEnvelope, writeEnvelope } from './envelope.ts';
import { ProtobufCodec } from './protobuf.ts';

if (!HAS_GOLDEN) {
  test.skip('the golden objects (needs ../shared/kubernetes/golden)', () => undefined);
} else {
  const table = new TypeTable();
  const codec = new ProtobufCodec(table.struct('apiextensions.v1.JSONSchemaProps'));

  describe('golden objects', () => {
    test.each(goldenNames())('%s', (name) => {
      const { apiVersion, kind, type, json, bytes } = readGolden(name, table);
      const struct = table.struct(type);
      expect(isEnvelope(bytes)).toBe(true);

      const value = codec.decode(struct, readEnvelope(bytes).raw);
      expect(kind === '' ? value : { ...value, kind, apiVersion }).toEqual(json);
      expect(writeEnvelope(apiVersion, kind, codec.encode(struct, json)).equals(bytes)).toBe(true);
    });
  });
}
