import { expect, test } from '@jest/globals';
import { ReadQueue } from './read-queue.ts';
import { Entry, Message, MessageType } from './types.ts';

const ask = (name: string): Message =>
  new Message(MessageType.ReadIndex, { entries: [new Entry(0, 0, 0, Buffer.from(name))] });

function filled(...names: string[]): ReadQueue {
  const queue = new ReadQueue();
  names.forEach((name, i) => queue.add(Buffer.from(name), ask(name), i + 1));
  return queue;
}

test('a confirmed read releases itself and all older ones, in order', () => {
  const queue = filled('a', 'b', 'c');
  expect(queue.release(Buffer.from('b')).map((read) => read.index)).toEqual([1, 2]);
  expect(queue.newestContext()?.toString()).toBe('c');
  expect(queue.release(Buffer.from('b'))).toEqual([]);
});

test('an answer counts for the read it names and for no other', () => {
  const queue = filled('a', 'b');
  queue.acknowledge(2n, Buffer.from('a'));
  expect(queue.acknowledge(3n, Buffer.from('b'))?.acks).toEqual(new Map([[3n, true]]));
  expect(queue.acknowledge(2n, Buffer.from('gone'))).toBeUndefined();
});

test('the same context again keeps the index of the first', () => {
  const queue = filled('a');
  queue.add(Buffer.from('a'), ask('a'), 9);
  expect(queue.release(Buffer.from('a')).map((read) => read.index)).toEqual([1]);
});

test('nothing survives clear', () => {
  const queue = filled('a', 'b');
  queue.clear();
  expect(queue.newestContext()).toBeUndefined();
  expect(queue.acknowledge(2n, Buffer.from('b'))).toBeUndefined();
});
