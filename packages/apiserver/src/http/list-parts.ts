/**
 * A long list as text, of parts that are lists themselves: each is written by itself, and what they have in common is
 * sent once. So writing never takes longer than one part does, and the first leaves before the last is made.
 */

import { assert } from '@keelson/base';

import type { KubeObject } from '../api/meta.ts';
import type { ObjectCodec } from '../codec/object-codec.ts';
import type { StoredObject } from '../storage/storage.ts';
import { PART_COUNT, type PartedList } from '../handlers/wire.ts';

/** How JSON of a list ends: its items, or rows, are its last member. */
interface Ends {
  /** Of a list without an item. */
  readonly empty: string;
  readonly full: string;
}

const COMPACT: Ends = { empty: ']}\n', full: ']}\n' };
const PRETTY: Ends = { empty: ']\n}', full: '\n  ]\n}' };
const COMMA = Buffer.from(',');

/** @param pretty with line breaks, for people */
export async function* jsonList(
  codec: ObjectCodec,
  list: PartedList,
  pretty: boolean,
): AsyncGenerator<Buffer, void> {
  const ends = pretty ? PRETTY : COMPACT;
  const end = Buffer.from(ends.full);
  const empty = codec.json(list.head, pretty);
  const start = empty.subarray(0, empty.length - ends.empty.length);
  let before: Buffer = start;
  for await (const part of partsOf(list)) {
    const whole = codec.json(part, pretty);
    assert(beginsWith(whole, start), 'parts of a list begin alike');
    if (whole.length <= empty.length) continue;
    const items = whole.subarray(start.length, whole.length - end.length);
    yield Buffer.concat([before, items]);
    before = COMMA;
  }
  yield before === start ? empty : end;
}

/** Members are in the order of their names in YAML, so that others may stand behind the items. */
export async function* yamlList(codec: ObjectCodec, list: PartedList): AsyncGenerator<Buffer, void> {
  const empty = codec.yaml(list.head);
  const name = list.head.kind === 'Table' ? 'rows' : 'items';
  const mark = `\n${name}: []\n`;
  const at = empty.indexOf(mark);
  assert(at >= 0, 'a list without an item says so');
  const start = Buffer.concat([empty.subarray(0, at), Buffer.from(`\n${name}:\n`)]);
  const end = empty.subarray(at + mark.length);
  let some = false;
  for await (const part of partsOf(list)) {
    const whole = codec.yaml(part);
    assert(beginsWith(whole, start), 'parts of a list begin alike');
    yield whole.subarray(some ? start.length : 0, whole.length - end.length);
    some = true;
  }
  yield some ? end : empty;
}

/** All parts, each made when it is asked for. @param stored some of the list's objects; all of them unless said */
export async function* partsOf(
  list: PartedList,
  stored: readonly StoredObject[] = list.stored,
): AsyncGenerator<KubeObject, void> {
  for (let at = 0; at < stored.length; at += PART_COUNT) {
    yield await list.part(stored.slice(at, at + PART_COUNT));
  }
}

function beginsWith(whole: Buffer, start: Buffer): boolean {
  return whole.length >= start.length && whole.compare(start, 0, start.length, 0, start.length) === 0;
}
