import { afterEach, beforeEach, expect, test } from '@jest/globals';

import { isJsonObject, type JsonObject } from '../api/json.ts';
import { readJson } from '../codec/json-reader.ts';
import { member, smallServer, type SmallServer } from '../../test/small-server.ts';

const CM = '/api/v1/namespaces/default/configmaps';

let small: SmallServer;

beforeEach(() => {
  small = smallServer();
});

afterEach(async () => {
  await small.stop();
});

/** The lines of a watch as they come. */
async function open(
  query: string,
  accept = 'application/json',
): Promise<{ next(): Promise<JsonObject | undefined>; close(): void }> {
  const gone = new AbortController();
  const answer = await small.server.call(`${CM}?watch=1&${query}`, {
    headers: { accept },
    signal: gone.signal,
  });
  expect(answer.code).toBe(200);
  const chunks = answer.chunks[Symbol.asyncIterator]();
  let rest = '';
  return {
    async next() {
      for (;;) {
        const end = rest.indexOf('\n');
        if (end >= 0) {
          const value = readJson(rest.slice(0, end));
          rest = rest.slice(end + 1);
          if (!isJsonObject(value)) throw new Error('an event is no object');
          return value;
        }
        const chunk = await chunks.next();
        if (chunk.done === true) return undefined;
        rest += chunk.value.toString('utf8');
      }
    },
    close: () => gone.abort(),
  };
}

const create = (name: string, labels: Record<string, string> = {}): ReturnType<SmallServer['ask']> =>
  small.ask('POST', CM, { metadata: { name, labels } });

const brief = (event: JsonObject | undefined): unknown[] => [
  event?.['type'],
  isJsonObject(event?.['object']) ? member(event['object'] as never, 'metadata', 'name') : undefined,
];

test('the state, the end of it, then what happens', async () => {
  await create('a');
  const watch = await open('allowWatchBookmarks=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan');
  expect(brief(await watch.next())).toEqual(['ADDED', 'a']);
  const bookmark = await watch.next();
  expect(bookmark?.['type']).toBe('BOOKMARK');
  expect(member(bookmark as never, 'object', 'metadata', 'annotations')).toEqual({
    'k8s.io/initial-events-end': 'true',
  });
  expect(member(bookmark as never, 'object', 'kind')).toBe('ConfigMap');
  const made = await create('b');
  const added = await watch.next();
  expect(brief(added)).toEqual(['ADDED', 'b']);
  expect(added?.['object']).toEqual(made.json);
  await small.ask('PATCH', `${CM}/b`, { data: { a: '1' } });
  expect(brief(await watch.next())).toEqual(['MODIFIED', 'b']);
  await small.ask('DELETE', `${CM}/b`);
  const deleted = await watch.next();
  expect(brief(deleted)).toEqual(['DELETED', 'b']);
  expect(Number(member(deleted as never, 'object', 'metadata', 'resourceVersion'))).toBeGreaterThan(
    Number(made.json.metadata.resourceVersion),
  );
  watch.close();
});

test('what comes to be selected is added, what ceases to be is deleted', async () => {
  const { json } = await create('a', { x: 'y' });
  const watch = await open(`resourceVersion=${json.metadata.resourceVersion}&labelSelector=x%3Dy`);
  await small.ask('PATCH', `${CM}/a`, { metadata: { labels: { x: 'z' } } });
  const left = await watch.next();
  expect(brief(left)).toEqual(['DELETED', 'a']);
  expect(member(left as never, 'object', 'metadata', 'labels')).toEqual({ x: 'y' });
  await small.ask('PATCH', `${CM}/a`, { metadata: { labels: { x: 'y' } } });
  expect(brief(await watch.next())).toEqual(['ADDED', 'a']);
  watch.close();
});

test('a table tells its columns once', async () => {
  await create('a');
  await create('b');
  const watch = await open('', 'application/json;as=Table;v=v1;g=meta.k8s.io');
  const first = await watch.next();
  expect(member(first as never, 'object', 'kind')).toBe('Table');
  expect(member(first as never, 'object', 'columnDefinitions', '0', 'name')).toBe('Name');
  const second = await watch.next();
  expect(member(second as never, 'object', 'columnDefinitions')).toBeNull();
  expect(member(second as never, 'object', 'rows', '0', 'cells', '0')).toBe('b');
  watch.close();
});

test('ends when its time is up', async () => {
  const watch = await open('timeoutSeconds=1&resourceVersion=1');
  expect(await watch.next()).toBeUndefined();
});
