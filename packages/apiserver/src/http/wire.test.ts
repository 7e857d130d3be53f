/** What is told of a watch as its events are framed. */

import { expect, test } from '@jest/globals';

import { bareRequest } from '../../test/bare-request.ts';
import { ObjectCodec } from '../codec/object-codec.ts';
import type { WireEvent } from '../handlers/wire.ts';
import { TypeTable } from '../schema/type-table.ts';
import { HttpWire } from './wire.ts';

test('each event is told with its size, however many leave at once', async () => {
  const wire = new HttpWire(new ObjectCodec(new TypeTable()));
  const request = bareRequest('/api/v1/configmaps?watch=1');
  const told: number[] = [];
  request.context.watched = (bytes) => told.push(bytes);
  const event = (name: string): WireEvent => ({
    type: 'ADDED',
    object: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } },
  });
  async function* batches(): AsyncGenerator<readonly WireEvent[]> {
    await Promise.resolve();
    yield [event('a')];
    yield [event('bb'), event('ccc')];
  }
  const form = { media: 'json', as: 'object', version: '', pretty: false } as const;
  const response = wire.watchResponse(request, form, batches());
  if (response.kind !== 'stream') throw new Error('a watch is a stream');
  const sizes: number[] = [];
  for await (const piece of response.chunks) sizes.push(piece.length);
  const [first, second, third] = told;
  expect(sizes).toEqual([first, second + third]);
  expect([second - first, third - first]).toEqual([1, 2]);
});
