import { describe, expect, test } from '@jest/globals';

import { forbidden } from '../api/status.ts';
import { requestInfo } from '../api/request-info.ts';
import type { AdmissionAttributes, AdmissionPlugin, MutatingPlugin } from './admission.ts';
import { AdmissionChain } from './chain.ts';

const attributes: AdmissionAttributes = {
  operation: 'CREATE',
  kind: { group: '', version: 'v1', kind: 'ConfigMap' },
  resource: { group: '', version: 'v1', resource: 'configmaps' },
  subresource: '',
  namespace: 'default',
  name: 'a',
  object: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } },
  oldObject: undefined,
  options: undefined,
  dryRun: false,
  user: undefined,
  info: requestInfo('POST', '/', [], new URLSearchParams()),
  signal: new AbortController().signal,
  convert: (object) => object,
  warn: () => undefined,
  annotate: () => undefined,
};

/** Appends its name to data.seen, and tells of it. */
function appends(name: string, log: string[], settings: Partial<MutatingPlugin> = {}): MutatingPlugin {
  return {
    name,
    handles: () => true,
    admit: ({ object }, { again }) => {
      log.push(again ? `${name} again` : name);
      if (object === undefined) return Promise.resolve(object);
      return Promise.resolve({ ...object, data: { seen: `${JSON.stringify(object['data'] ?? '')}${name}` } });
    },
    ...settings,
  };
}

const idle = (name: string, log: string[], reinvoked = false): MutatingPlugin => ({
  name,
  reinvoked,
  handles: () => true,
  admit: ({ object }, { again }) => {
    log.push(again ? `${name} again` : name);
    return Promise.resolve(object);
  },
});

describe('mutation', () => {
  test.each<[string, (log: string[]) => AdmissionPlugin[], string[]]>([
    ['in order', (log) => [appends('a', log), appends('b', log)], ['a', 'b']],
    [
      'once more for who asks for it, when something behind it changed the object',
      (log) => [idle('a', log, true), idle('b', log), appends('c', log)],
      ['a', 'b', 'c', 'a again'],
    ],
    ['not once more when nothing changed', (log) => [idle('a', log, true), idle('b', log)], ['a', 'b']],
    [
      'not once more for a change that was made before it or by itself',
      (log) => [appends('a', log), { ...appends('b', log), reinvoked: true }],
      ['a', 'b'],
    ],
    [
      'only those that handle the operation',
      (log) => [appends('a', log, { handles: (operation) => operation === 'UPDATE' }), appends('b', log)],
      ['b'],
    ],
  ])('%s', async (_name, plugins, wanted) => {
    const log: string[] = [];
    await new AdmissionChain(plugins(log)).mutate(attributes);
    expect(log).toEqual(wanted);
  });
});

test('the first validator that refuses is heard, the rest are not asked', async () => {
  const asked: string[] = [];
  const validator = (name: string, refuses: boolean): AdmissionPlugin => ({
    name,
    handles: () => true,
    validate: () => {
      asked.push(name);
      const refusal = forbidden({ group: '', resource: 'configmaps' }, 'a', name);
      return refuses ? Promise.reject(refusal) : Promise.resolve();
    },
  });
  const chain = new AdmissionChain([validator('a', false), validator('b', true), validator('c', true)]);
  await expect(chain.validate(attributes)).rejects.toThrow('configmaps "a" is forbidden: b');
  expect(asked).toEqual(['a', 'b']);
});
