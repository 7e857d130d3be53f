/** What a definition that is served keeps alive, and what it lets go. */

import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { afterEach, beforeEach, expect, test } from '@jest/globals';

import { until } from '../../base/test/until.ts';
import type { JsonObject } from '../src/api/json.ts';
import { customServer, type SmallServer } from './small-server.ts';

setFlagsFromString('--expose-gc');
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- that is what the flag exposes
const collect = runInNewContext('gc') as () => void;

const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const GROUP = 'memory.example.com';
const MB = 1e6;

let small: SmallServer;

beforeEach(async () => {
  small = await customServer();
});

afterEach(async () => {
  await small.stop();
});

function definition(index: number, description: string): JsonObject {
  const plural = `gadgets${index}`;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: { plural, kind: `Gadget${index}`, shortNames: [`shortened-gadgets-${index}`] },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', description } },
          additionalPrinterColumns: [{ name: 'Phase', type: 'string', jsonPath: '.status.phaseOfTheGadget' }],
        },
      ],
    },
  };
}

async function define(index: number, description: string): Promise<void> {
  expect((await small.ask('POST', DEFINITIONS, definition(index, description))).code).toBe(201);
  await until(async () => (await small.ask('GET', objects(index))).code === 200, 'it is served');
}

function objects(index: number): string {
  return `/apis/${GROUP}/v1/gadgets${index}`;
}

/** What serves the first one now; a frame of its own, so that nothing of it stays in the test's. */
function served(): WeakRef<object> {
  const store = small.server.scheme.store({ group: GROUP, resource: 'gadgets1' });
  if (store === undefined) throw new Error('it is not served');
  return new WeakRef(store);
}

async function heapMb(): Promise<number> {
  // What hangs on a promise or a stream that ends goes in turns of its own.
  for (let turn = 0; turn < 5; turn += 1) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    collect();
  }
  return getHeapStatistics().used_heap_size / MB;
}

test('the text that it was read of is not kept alive by names that were cut from it', async () => {
  const length = MB;
  const count = 24;
  await define(0, 'x'.repeat(length));
  const before = await heapMb();
  for (let index = 1; index <= count; index += 1) await define(index, 'x'.repeat(length));
  // One that is decoded still may be there; each name of each of them would keep a text of 1 MB.
  expect(await heapMb()).toBeLessThan(before + (count * length) / MB / 3);
});

test('a definition that changes lets go of what was served of the one before', async () => {
  await define(1, 'first');
  const seen: WeakRef<object>[] = [];
  for (const description of ['second', 'third', 'fourth']) {
    seen.push(served());
    const { json } = await small.ask('GET', `${DEFINITIONS}/gadgets1.${GROUP}`);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it is a definition
    const metadata = json['metadata'] as JsonObject;
    const changed = { ...definition(1, description), metadata };
    expect((await small.ask('PUT', `${DEFINITIONS}/gadgets1.${GROUP}`, changed)).code).toBe(200);
    await until(() => served().deref() !== seen.at(-1)?.deref(), 'it is served anew');
  }
  await until(async () => {
    await heapMb();
    return seen.every((one) => one.deref() === undefined);
  }, 'what was served before is gone');
});
