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

/** Asks for a second round in each. */
const repeats = (name: string, log: string[]): MutatingPlugin => ({
  name,
  handles: () => true,
  admit: ({ object }, { again, repeat }) => {
    log.push(again ? `${name} again` : name);
    repeat();
    return Promise.resolve(object);
  },
});

describe('mutation', () => {
  test.each<[string, (log: string[]) => AdmissionPlugin[], string[]]>([
    ['in order', (log) => [appends('a', log), appends('b', log)], ['a', 'b']],
    [
      'all once more when one asks for it, and no third time',
      (log) => [appends('a', log), repeats('b', log), appends('c', log)],
      ['a', 'b', 'c', 'a again', 'b again', 'c again'],
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

  test('what a plugin remembers between the rounds is filed under the request', async () => {
    const requests: object[] = [];
    const plugin: MutatingPlugin = {
      name: 'a',
      handles: () => true,
      admit: ({ object }, { request, repeat }) => {
        requests.push(request);
        repeat();
        return Promise.resolve(object);
      },
    };
    const chain = new AdmissionChain([plugin]);
    await chain.mutate(attributes);
    await chain.mutate(attributes);
    expect(requests[0]).toBe(requests[1]);
    expect(requests[2]).toBe(requests[3]);
    expect(requests[0]).not.toBe(requests[2]);
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
