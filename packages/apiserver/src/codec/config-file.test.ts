/** Files of configuration: what a strict reader refuses, in the original's words. */

import { expect, test } from '@jest/globals';

import { configNames, readConfigFile, readLenientConfigFile, type ConfigKind } from './config-file.ts';

const KIND: ConfigKind = {
  names: configNames('Fleet', ['v1']),
  types: `fleet.v1.Fleet	:meta.v1.TypeMeta:0	ships:[fleet.v1.Ship:1	flag:s:2*?
fleet.v1.Ship	name:s:1	masts:i:2?	sails:D:3?`,
};
const HEAD = 'apiVersion: apiserver.config.k8s.io/v1\nkind: Fleet\n';

test('what the kind has is read as it stands', () => {
  expect(readConfigFile(`${HEAD}ships:\n- name: a\n  sails: 1m30s\n`, KIND)).toEqual({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'Fleet',
    ships: [{ name: 'a', sails: '1m30s' }],
  });
});

test.each<[string, string, string]>([
  ['no kind', 'ships: []\n', "Object 'Kind' is missing in 'ships: []\n'"],
  ['no version', 'kind: Fleet\n', "Object 'apiVersion' is missing in 'kind: Fleet\n'"],
  ['another version', 'apiVersion: v1\nkind: Fleet\n', 'no kind "Fleet" is registered for version "v1"'],
  [
    'fields that nobody knows, in the order of the file',
    `${HEAD}ship: []\nships:\n- {name: a}\n- {Name: b}\n`,
    'strict decoding error: unknown field "ship", unknown field "ships[1].Name"',
  ],
  [
    'a key twice',
    `${HEAD}flag: a\nflag: b\n`,
    'strict decoding error: yaml: unmarshal errors:\n  line 4: key "flag" already set in map',
  ],
  [
    'text for a list',
    `${HEAD}ships: many\n`,
    'json: cannot unmarshal string into Go struct field Fleet.ships of type []v1.Ship',
  ],
  [
    'a number for text',
    `${HEAD}ships:\n- name: 7\n`,
    'json: cannot unmarshal number into Go struct field Ship.ships.name of type string',
  ],
])('%s is refused', (_name, text, message) => {
  expect(() => readConfigFile(text, KIND)).toThrow(expect.objectContaining({ message }));
});

test('a lenient reader is told what a strict one refuses', () => {
  const { value, strict } = readLenientConfigFile(`${HEAD}ship: []\n`, KIND);
  expect(value['ship']).toEqual([]);
  expect(strict).toEqual(['unknown field "ship"']);
});
