/** What a watch of custom objects is told when their definition is deleted under it. */

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { startControlPlane, type ControlPlane } from '../src/index.ts';

const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const OBJECTS = '/apis/goes.example.com/v1/namespaces/default/leaves';

let plane: ControlPlane;

beforeAll(async () => {
  plane = await startControlPlane();
});

afterAll(() => plane.stop());

async function ask(method: string, path: string, body?: object): Promise<number> {
  const headers = { 'content-type': 'application/json' };
  const bytes = body === undefined ? {} : { body: Buffer.from(JSON.stringify(body)) };
  const answer = await plane.call(path, { method, headers, ...bytes });
  await answer.bytes();
  return answer.code;
}

test('the deletion of its objects, and then its end', async () => {
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  const made = await ask('POST', DEFINITIONS, {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'leaves.goes.example.com' },
    spec: {
      group: 'goes.example.com',
      scope: 'Namespaced',
      names: { plural: 'leaves', singular: 'leaf', kind: 'Leaf' },
      versions: [{ name: 'v1', served: true, storage: true, schema }],
    },
  });
  expect(made).toBe(201);
  const leaf = { apiVersion: 'goes.example.com/v1', kind: 'Leaf', metadata: { name: 'a' } };
  // It is served before it says so.
  for (let code = 404; code !== 201;) {
    code = await ask('POST', OBJECTS, leaf);
    expect([201, 404]).toContain(code);
  }
  const watch = await plane.call(`${OBJECTS}?watch=true`);
  const seen: string[] = [];
  let deleted: Promise<number> | undefined;
  let text = '';
  for await (const chunk of watch.chunks) {
    text += chunk.toString();
    const lines = text.split('\n');
    text = lines.pop() ?? '';
    seen.push(...lines.map((line) => (JSON.parse(line) as { type: string }).type));
    if (seen.length === 1) deleted = ask('DELETE', `${DEFINITIONS}/leaves.goes.example.com`);
  }
  expect(await deleted).toBe(200);
  expect(seen).toEqual(['ADDED', 'DELETED']);
  expect(await ask('GET', OBJECTS)).toBe(404);
});
