/** Long lists as protobuf: when the first byte goes out, and that what is remembered of one form is not taken for another. */
import { expect, test } from '@jest/globals';

import type { KubeObject } from '../api/meta.ts';
import { ObjectCodec } from '../codec/object-codec.ts';
import { readEnvelope } from '../codec/envelope.ts';
import { PART_COUNT, type PartedList } from '../handlers/wire.ts';
import { TypeTable } from '../schema/type-table.ts';
import type { StoredObject } from '../storage/storage.ts';
import { ProtobufLists } from './protobuf-lists.ts';

const codec = new ObjectCodec(new TypeTable());
const HEAD: KubeObject = { kind: 'ConfigMapList', apiVersion: 'v1', metadata: { resourceVersion: '7' } };

function stored(name: string, bytes: number): StoredObject {
  const value: KubeObject = {
    kind: 'ConfigMap',
    apiVersion: 'v1',
    metadata: { name },
    data: { value: 'x'.repeat(bytes) },
  };
  return { key: `/${name}`, revision: 1, value, json: () => codec.json(value) };
}

function listWith(values: readonly KubeObject[]): KubeObject {
  const items = values.map(({ kind: _kind, apiVersion: _apiVersion, ...rest }) => rest);
  return Object.assign({}, HEAD, { items });
}

interface Listing {
  readonly bytes: Buffer;
  /** Parts that were made before the first byte, and in all. */
  readonly before: number;
  readonly parts: number;
}

interface Given extends Partial<PartedList> {
  readonly shown?: (value: KubeObject) => KubeObject;
}

async function sent(
  lists: ProtobufLists,
  objects: readonly StoredObject[],
  { shown = (value) => value, ...more }: Given = {},
): Promise<Listing> {
  let parts = 0;
  const list: PartedList = {
    head: listWith([]),
    stored: objects,
    part: (some) => {
      parts += 1;
      expect(some.length).toBeLessThanOrEqual(PART_COUNT);
      return Promise.resolve(listWith(some.map(({ value }) => shown(value))));
    },
    apiVersion: 'v1',
    steady: true,
    ...more,
  };
  const envelope = codec.envelope(list.head);
  if (envelope === undefined) throw new Error('a list has an envelope');
  const chunks: Buffer[] = [];
  let before = -1;
  for await (const chunk of lists.chunks(list, readEnvelope(envelope).raw)) {
    if (before < 0) before = parts;
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  expect(codec.envelope(listWith(objects.map(({ value }) => shown(value))))?.equals(bytes)).toBe(true);
  return { bytes, before, parts };
}

/** Of 0 to 20,000 bytes, so that lengths of one, two and three bytes are among them. */
const OBJECTS = Array.from({ length: 100 }, (_, at) => stored(`c-${at}`, [0, 1, 100, 128, 20_000][at % 5]));
const ALL = Math.ceil(100 / PART_COUNT);
const longer = (value: KubeObject): KubeObject => ({ ...value, metadata: { ...value.metadata, uid: 'u' } });

test('the first byte waits for the last item where most are new, else for those that are', async () => {
  const lists = new ProtobufLists(codec);
  const waits = async (objects: readonly StoredObject[]): Promise<[number, number]> => {
    const { before, parts } = await sent(lists, objects);
    return [before, parts];
  };
  expect(await waits(OBJECTS)).toEqual([ALL, ALL]);
  expect(await waits(OBJECTS)).toEqual([0, ALL]);
  expect(await waits(OBJECTS.slice(20, 52))).toEqual([0, 4]);
  expect(await waits([])).toEqual([0, 0]);
  const some = [stored('a-new', 40), ...OBJECTS, stored('b-new', 200)];
  expect(await waits(some)).toEqual([1, 1 + ALL]);
  expect(await waits(some)).toEqual([0, ALL]);
  expect(await waits(some.toReversed())).toEqual([0, ALL]);
  const many = Array.from({ length: 9 }, (_, at) => stored(`m-${at}`, 10));
  expect(await waits([...OBJECTS, ...many])).toEqual([ALL + 1, ALL + 1]);
});

test('another form of the same objects is another length', async () => {
  const lists = new ProtobufLists(codec);
  await sent(lists, OBJECTS);
  const { before } = await sent(lists, OBJECTS, { apiVersion: 'v2', shown: longer });
  expect(before).toBe(ALL);
});

test('where an object may look otherwise each time nothing is remembered', async () => {
  const lists = new ProtobufLists(codec);
  for (const shown of [longer, (value: KubeObject) => value]) {
    const { before, parts } = await sent(lists, OBJECTS, { steady: false, shown });
    expect([before, parts]).toEqual([ALL, ALL]);
  }
});

test('a list is cut rather than sent with a length that is not its own', async () => {
  const lists = new ProtobufLists(codec);
  await sent(lists, OBJECTS);
  await expect(sent(lists, OBJECTS, { shown: longer })).rejects.toThrow('an object is as long as it was');
});
