/**
 * Tables whose rows depend on each other (flow schemas in the order they are tried in, the one storage class that is the
 * default) are made in parts like any other, and are what they would be in one piece.
 */

import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';

import { Turns } from '../src/flowcontrol/turns.ts';
import { PART_COUNT } from '../src/handlers/wire.ts';
import { items, part, parts, text } from '../src/validation/value.ts';
import { smallServer, type SmallServer } from './small-server.ts';

const COUNT = 60;
const DEFAULT_CLASS = 'storageclass.kubernetes.io/is-default-class';
const TABLE = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' };

let small: SmallServer;
beforeAll(async () => {
  small = smallServer({ resources: 'built-in' });
  for (let i = 0; i < COUNT; i += 1) {
    const name = `class-${String(i).padStart(3, '0')}`;
    // The youngest is the default one, of those of one second the first by name.
    const annotations = i % 10 === 7 ? { [DEFAULT_CLASS]: 'true' } : {};
    await small.ask('POST', '/apis/storage.k8s.io/v1/storageclasses', {
      metadata: { name, annotations },
      provisioner: 'x',
    });
    await small.ask('POST', '/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas', {
      metadata: { name: `flow-${String(i).padStart(3, '0')}` },
      spec: {
        matchingPrecedence: 2 + ((i * 37) % COUNT),
        priorityLevelConfiguration: { name: 'exempt' },
        rules: [],
      },
    });
  }
});
afterAll(() => small.stop());

/** Cells of a table, and how many turns its making took. */
async function tableAt(path: string): Promise<{ cells: readonly (readonly unknown[])[]; turns: number }> {
  const take = jest.spyOn(Turns.prototype, 'take');
  try {
    const { json } = await small.ask('GET', path, undefined, TABLE);
    const cells = parts(json, 'rows').map((row) => items(row, 'cells'));
    return { cells, turns: take.mock.calls.length };
  } finally {
    take.mockRestore();
  }
}

test('flow schemas stand in the order of their precedence', async () => {
  const { cells, turns } = await tableAt('/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas');
  const own = cells.filter(([name]) => String(name).startsWith('flow-'));
  expect(own.map(([, , precedence]) => precedence)).toEqual(Array.from({ length: COUNT }, (_, i) => i + 2));
  // Once to be put in order, once to be written.
  expect(turns).toBeGreaterThanOrEqual(2 * Math.floor(cells.length / PART_COUNT));
});

test('one storage class is the default one, whichever part it stands in', async () => {
  const { cells, turns } = await tableAt('/apis/storage.k8s.io/v1/storageclasses');
  const marked = cells.map(([name]) => String(name)).filter((name) => name.endsWith(' (default)'));
  const { json } = await small.ask('GET', '/apis/storage.k8s.io/v1/storageclasses');
  const defaults = parts(json, 'items').filter(
    (item) => text(part(part(item, 'metadata'), 'annotations'), DEFAULT_CLASS) === 'true',
  );
  const youngest = defaults
    .map((item) => part(item, 'metadata'))
    .toSorted((a, b) => {
      const [first, second] = [text(a, 'creationTimestamp'), text(b, 'creationTimestamp')];
      if (first !== second) return first > second ? -1 : 1;
      return text(a, 'name') < text(b, 'name') ? -1 : 1;
    })[0];
  expect(cells).toHaveLength(COUNT);
  expect(marked).toEqual([`${text(youngest, 'name')} (default)`]);
  expect(turns).toBeGreaterThanOrEqual(2 * Math.floor(COUNT / PART_COUNT));
});
