/** The driver loop of README.md, taken from the file and run over three nodes. */
import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import path from 'node:path';
import { Prng, silentLogger } from '@keelson/base';
import { expect, test } from '@jest/globals';
import {
  decodeConfChangeEntry,
  type Entry,
  MemoryStorage,
  type Message,
  type NodeId,
  RawNode,
} from '../src/index.ts';

type Factory = (
  node: RawNode,
  storage: MemoryStorage,
  send: (message: Message) => void,
  apply: (entry: Entry) => void,
  decode: typeof decodeConfChangeEntry,
) => () => void;

function driverLoop(): Factory {
  const readme = readFileSync(path.join(import.meta.dirname, '../README.md'), 'utf8');
  const code = /```ts\n([\s\S]*?)```/.exec(readme)?.[1];
  if (code === undefined) throw new Error('README.md has no driver loop');
  const body = `${stripTypeScriptTypes(code)}\nreturn turn;`;
  // oxlint-disable-next-line no-implied-eval, no-new-func -- the text under test is a document
  return new Function('node', 'storage', 'send', 'apply', 'decodeConfChangeEntry', body) as Factory;
}

test('three nodes run by the loop elect a leader, and each applies what was proposed', () => {
  const factory = driverLoop();
  const ids: NodeId[] = [1n, 2n, 3n];
  const mail: Message[] = [];
  const nodes = new Map<NodeId, { node: RawNode; turn: () => void; applied: string[] }>();
  for (const id of ids) {
    const storage = MemoryStorage.founded({ voters: ids });
    const node = new RawNode({
      id,
      electionTick: 10,
      heartbeatTick: 1,
      storage,
      applied: 1,
      prng: new Prng(Number(id)),
      logger: silentLogger,
    });
    const applied: string[] = [];
    const turn = factory(
      node,
      storage,
      (message) => mail.push(message),
      (entry) => applied.push(entry.data.toString()),
      decodeConfChangeEntry,
    );
    nodes.set(id, { node, turn, applied });
  }
  const settle = (): void => {
    for (const { turn } of nodes.values()) turn();
    for (let message = mail.shift(); message !== undefined; message = mail.shift()) {
      const target = nodes.get(message.to);
      target?.node.step(message);
      target?.turn();
    }
  };
  nodes.get(1n)?.node.campaign();
  settle();
  expect(nodes.get(1n)?.node.propose([Buffer.from('a'), Buffer.from('b')])).toBe('ok');
  settle();
  for (const { node, applied } of nodes.values()) {
    expect(node.basicStatus().lead).toBe(1n);
    expect(applied).toEqual(['', 'a', 'b']);
  }
});
