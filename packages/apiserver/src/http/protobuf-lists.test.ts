/** Long lists as protobuf: when the first byte goes out, and that what is remembered of one form is not taken for another. */
import { expect, test } from '@jest/globals';

import type { KubeObject } from '../api/meta.ts';
import { ObjectCodec } from '../codec/object-codec.ts';
import { readEnvelope } from '../codec/envelope.ts';
import type { ListPart, PartedList } from '../handlers/wire.ts';
import { TypeTable } from '../schema/type-table.ts';
import type { StoredObject } from '../storage/storage.ts';
import { ProtobufLists } from './protobuf-lists.ts';

const codec = new ObjectCodec(new TypeTable());
const START = 'made';

function stored(name: string, bytes: number): StoredObject {
  const value: KubeObject = {
    kind: 'ConfigMap',
    apiVersion: 'v1',
    metadata: { name },
    data: { value: 'x'.repeat(bytes) },
  };
  return { key: `/${name}`, revision: 1, value, json: () => codec.json(value) };
}

function itemOf({ kind: _kind, apiVersion: _apiVersion, ...rest }: KubeObject): object {
  return rest;
}

/** @param log told each part that is made */
function listOf(
  objects: readonly StoredObject[],
  log: string[],
  more: Partial<PartedList> & { readonly shown?: (value: KubeObject) => KubeObject } = {},
): PartedList {
  const { shown = (value) => value } = more;
  const head: KubeObject = { kind: 'ConfigMapList', apiVersion: 'v1', metadata: { resourceVersion: '7' } };
  const full = (some: readonly StoredObject[]): KubeObject =>
    Object.assign({}, head, { items: some.map(({ value }) => itemOf(shown(value))) });
  // oxlint-disable-next-line require-await -- it is its form that is asked for
  async function* parts(): AsyncGenerator<ListPart, void> {
    for (let at = 0; at < objects.length; at += 2) {
      log.push(START);
      const some = objects.slice(at, at + 2);
      yield { list: full(some), stored: some };
    }
  }
  return {
    head: full([]),
    stored: objects,
    parts: parts(),
    apiVersion: 'v1',
    steady: true,
    ...more,
  };
}

/** The bytes, and how many parts were made before the first of them. */
async function sent(lists: ProtobufLists, list: PartedList, log: string[]): Promise<[Buffer, number]> {
  const envelope = codec.envelope(list.head);
  if (envelope === undefined) throw new Error('a list has an envelope');
  const chunks: Buffer[] = [];
  let before = -1;
  for await (const chunk of lists.chunks(list, readEnvelope(envelope).raw)) {
    if (before < 0) before = log.length;
    chunks.push(chunk);
  }
  return [Buffer.concat(chunks), before];
}

const OBJECTS = [0, 1, 100, 128, 20_000, 5, 300].map((bytes, at) => stored(`c-${at}`, bytes));

test('the first byte waits for the last item once, and for those that are new', async () => {
  const lists = new ProtobufLists(codec);
  const waited: number[] = [];
  const list = async (objects: readonly StoredObject[]): Promise<void> => {
    const log: string[] = [];
    const [bytes, before] = await sent(lists, listOf(objects, log), log);
    const items = objects.map(({ value }) => itemOf(value));
    const whole: KubeObject = Object.assign(
      { kind: 'ConfigMapList', apiVersion: 'v1', metadata: { resourceVersion: '7' } },
      { items },
    );
    expect(codec.envelope(whole)?.equals(bytes)).toBe(true);
    waited.push(before);
  };
  await list(OBJECTS);
  await list(OBJECTS);
  await list(OBJECTS.slice(2, 5));
  await list([]);
  await list([...OBJECTS, stored('new', 40)]);
  await list(OBJECTS.toReversed());
  expect(waited).toEqual([4, 0, 0, 0, 4, 0]);
});

test('another form of the same objects is another length', async () => {
  const lists = new ProtobufLists(codec);
  const log: string[] = [];
  await sent(lists, listOf(OBJECTS, log), log);
  const longer = (value: KubeObject): KubeObject => ({ ...value, metadata: { ...value.metadata, uid: 'u' } });
  const again: string[] = [];
  const [, before] = await sent(lists, listOf(OBJECTS, again, { apiVersion: 'v2', shown: longer }), again);
  expect(before).toBe(4);
});

test('where an object may look otherwise each time nothing is remembered', async () => {
  const lists = new ProtobufLists(codec);
  for (let round = 0; round < 2; round += 1) {
    const log: string[] = [];
    const [, before] = await sent(lists, listOf(OBJECTS, log, { steady: false }), log);
    expect(before).toBe(4);
  }
});

test('a list is cut rather than sent with a length that is not its own', async () => {
  const lists = new ProtobufLists(codec);
  const log: string[] = [];
  await sent(lists, listOf(OBJECTS, log), log);
  const longer = (value: KubeObject): KubeObject => ({ ...value, metadata: { ...value.metadata, uid: 'u' } });
  await expect(sent(lists, listOf(OBJECTS, [], { shown: longer }), log)).rejects.toThrow(
    'an object is as long as it was',
  );
});
