import { expect, test } from '@jest/globals';

import { isJsonObject, type Json } from '../api/json.ts';
import type { KubeObject } from '../api/meta.ts';
import { Slices } from '../api/sliced.ts';
import { readJson } from '../codec/json-reader.ts';
import { asJson } from '../codec/object-codec.ts';
import { ConversionNeeded, settled } from '../registry/conversions.ts';
import { part, parts } from '../validation/value.ts';
import { WebhookConverter } from './webhook-converter.ts';

const CRD: KubeObject = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'things.example.com' },
  spec: {
    conversion: {
      strategy: 'Webhook',
      webhook: { conversionReviewVersions: ['v1'], clientConfig: { url: 'https://127.0.0.1/convert' } },
    },
  },
};

function thing(name: string, text = ''): KubeObject {
  return { apiVersion: 'example.com/v1', kind: 'Thing', metadata: { name, uid: name }, spec: { text } };
}

/** A converter whose webhook converts, the objects of each of its calls, and slices whose clock runs with each look at it. */
function rig(): { converter: WebhookConverter; calls: Json[][]; slices: Slices; turns: () => number } {
  const calls: Json[][] = [];
  const converter = new WebhookConverter(CRD, {
    uuid: () => 'uid',
    resolve: () => Promise.reject(new Error('a URL is given')),
    caller: {
      post: (_target, body) => {
        const review = readJson(body.toString());
        const request = part(isJsonObject(review) ? review : {}, 'request');
        expect(Object.keys(request)).toEqual(['uid', 'desiredAPIVersion', 'objects']);
        const objects = [...parts(request, 'objects')];
        calls.push(objects);
        const answer = {
          apiVersion: 'apiextensions.k8s.io/v1',
          kind: 'ConversionReview',
          response: {
            uid: 'uid',
            result: { status: 'Success' },
            convertedObjects: objects.map((object) => ({ ...object, apiVersion: 'example.com/v2' })),
          },
        };
        return Promise.resolve({ code: 200, body: Buffer.from(JSON.stringify(answer)) });
      },
    },
  });
  let nowMs = 0;
  let turns = 0;
  const next = (): Promise<void> => {
    turns += 1;
    return Promise.resolve();
  };
  const slices = new Slices({ monotonicMs: () => (nowMs += 0.1) }, next);
  return { converter, calls, slices, turns: () => turns };
}

test('a long list is asked for in several calls, and what is done for it in slices', async () => {
  const { converter, calls, slices, turns } = rig();
  const list = Array.from({ length: 1_200 }, (_, i) => thing(`t${i}`));
  await converter.prepare(list, 'example.com/v2', slices);
  expect(calls.map((objects) => objects.length)).toEqual([500, 500, 200]);
  expect(calls.flat()).toEqual(list.map((object) => asJson(object)));
  // Three looks at the clock an object, some ten of which make a slice.
  expect(turns()).toBeGreaterThan(300);
  expect(converter.convert(list[700], 'example.com/v2')).toEqual({
    ...list[700],
    apiVersion: 'example.com/v2',
  });
  await converter.prepare(list, 'example.com/v2', slices);
  expect(calls).toHaveLength(3);
});

test('calls of long objects have few of them, and no slices are needed for objects of the version', async () => {
  const { converter, calls, slices, turns } = rig();
  const list = Array.from({ length: 10 }, (_, i) => thing(`t${i}`, 'x'.repeat(200_000)));
  await converter.prepare(list, 'example.com/v2', slices);
  expect(calls.map((objects) => objects.length)).toEqual([3, 3, 3, 1]);
  const before = turns();
  await converter.prepare(list, 'example.com/v1', slices);
  expect([calls.length, turns()]).toEqual([4, before]);
});

test('answers that were forgotten for others are asked for again, those of a part of a list in one call', async () => {
  const { converter, calls } = rig();
  const list = Array.from({ length: 9 }, (_, i) => thing(`t${i}`, 'x'.repeat(2_000_000)));
  await converter.prepare(list, 'example.com/v2');
  await converter.prepare([thing('other')], 'example.com/v2');
  expect(() => converter.convert(list[0], 'example.com/v2')).toThrow(ConversionNeeded);
  const before = calls.length;
  const few = list.slice(0, 3).map(({ metadata }) => thing(metadata.name ?? ''));
  const shown = await settled(async () => {
    await converter.prepare(few, 'example.com/v2');
    return few.map((object) => converter.convert(object, 'example.com/v2'));
  });
  expect(shown.map(({ apiVersion }) => apiVersion)).toEqual(few.map(() => 'example.com/v2'));
  expect(calls.length).toBe(before + 1);
});
