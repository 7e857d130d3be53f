/**
 * The golden objects: the same object of each kind in JSON and in protobuf, as Kubernetes wrote them. Both ways
 * must give the other to the byte.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { describe, expect, test } from '@jest/globals';

import type { JsonObject } from '../api/json.ts';
import { TypeTable } from '../schema/type-table.ts';
import { isEnvelope, readEnvelope, writeEnvelope } from './envelope.ts';
import { readJson } from './json-reader.ts';
import { ProtobufCodec } from './protobuf.ts';

const folder = path.join(import.meta.dirname, '../../../../../shared/kubernetes/golden');

/** `apps.v1` of a golden file's name, as the fact table calls its package: the group's first word. */
function typeName(apiVersion: string, kind: string): string {
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['core', apiVersion];
  const word = group.replace(/\..*$/, '');
  return `${word === 'internal' ? 'apiserverinternal' : word}.${version}.${kind}`;
}

if (!existsSync(folder)) {
  test.skip('the golden objects (needs ../shared/kubernetes/golden)', () => undefined);
} else {
  const table = new TypeTable();
  const codec = new ProtobufCodec(table.struct('apiextensions.v1.JSONSchemaProps'));
  const names = readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.slice(0, -'.json'.length));

  describe('golden objects', () => {
    test.each(names)('%s', (name) => {
      const bytes = readFileSync(path.join(folder, `${name}.pb`));
      const json = readJson(readFileSync(path.join(folder, `${name}.json`), 'utf8')) as JsonObject;
      const { apiVersion, kind, raw } = readEnvelope(bytes);
      expect(isEnvelope(bytes)).toBe(true);
      const own = typeName(apiVersion, kind);
      // Options and the words of discovery belong to every version of every group; a watch event names no type.
      const word = kind === '' ? 'WatchEvent' : kind;
      const type = table.struct(table.has(own) ? own : `meta.v1.${word}`);

      const value = codec.decode(type, raw);
      expect(kind === '' ? value : { ...value, kind, apiVersion }).toEqual(json);
      expect(writeEnvelope(apiVersion, kind, codec.encode(type, json)).equals(bytes)).toBe(true);
    });
  });
}
