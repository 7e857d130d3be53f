/**
 * Runs testdata/mvcc/*.txt: commands, one a line, then ---- and what they print, then an empty line. Prose
 * begins with #. With REWRITE=1 in the environment the files are written anew instead of compared.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { MemoryBackend } from '../../src/backend/memory-backend.ts';
import { Buckets } from '../../src/backend/buckets.ts';
import { isBatchRecordKey } from '../../src/backend/batch-record.ts';
import { KeyValue } from '../../src/mvcc/key-value.ts';
import { isTombstone, revisionMain, revisionSub } from '../../src/mvcc/revision.ts';
import type { WriteTxn } from '../../src/mvcc/write-txn.ts';
import { Bench, noPause } from './bench.ts';

const directory = join(import.meta.dirname, '../testdata/mvcc');
const rewrite = process.env.REWRITE === '1';
const OPTIONS = { compactionBatchLimit: 1 };

class Conversation {
  private bench: Bench;

  private constructor(bench: Bench) {
    this.bench = bench;
  }

  static async open(): Promise<Conversation> {
    return new Conversation(await Bench.open(new MemoryBackend(), OPTIONS));
  }

  async run(line: string): Promise<string> {
    const [command, ...words] = line.split(' ').map((word) => word.replace('\\0', '\0'));
    const revision = Number(words.find((word) => word.startsWith('rev='))?.slice('rev='.length) ?? 0);
    const [first = '', second = ''] = words.filter((word) => !word.includes('='));
    const { store } = this.bench;
    switch (command) {
      case 'put':
      case 'delete':
        this.bench.write((txn) => change(txn, line));
        return '';
      case 'txn':
        this.bench.write((txn) => {
          for (const part of line.slice('txn '.length).split('; ')) change(txn, part);
        });
        return '';
      case 'range':
        return this.bench.read(first, second, revision) || '(nothing)';
      case 'revision':
        return `current ${store.currentRevision} compacted ${store.compactRevision}`;
      case 'compact': {
        const result = this.bench.compact(Number(first));
        return result === 'ok' ? '' : result;
      }
      case 'run':
        await store.runCompaction(noPause);
        this.bench.mark();
        return '';
      case 'slice':
        await store.runCompaction(() => Promise.reject(new Error('enough'))).catch(() => undefined);
        this.bench.mark();
        return '';
      case 'pending':
        return store.compactionPending ? 'pending' : 'nothing pending';
      case 'restart':
        this.bench = await this.bench.reopen(OPTIONS);
        return '';
      case 'index':
        return store.describeIndex() || '(empty)';
      case 'stored':
        return this.stored();
      case 'history':
        return store
          .history(Number(first), Number(second), 1000, 1e6)
          .events.map(({ type, kv }) => `${kv.modRevision} ${type === 0 ? 'put' : 'delete'} ${kv.keyString}`)
          .join('\n');
      default:
        throw new Error(`unknown command ${line}`);
    }
  }

  /** The revisions in the key bucket. */
  private async stored(): Promise<string> {
    await this.bench.buffer.commit();
    const words: string[] = [];
    for await (const pairs of this.bench.buffer.range(Buckets.key)) {
      for (const { key, value } of pairs) {
        if (isBatchRecordKey(key)) continue;
        const mark = isTombstone(key, 1) ? 't' : '';
        words.push(`${KeyValue.read(value).keyString}@${revisionMain(key, 1)}.${revisionSub(key, 1)}${mark}`);
      }
    }
    return `stored: ${words.join(' ')}`;
  }
}

function change(txn: WriteTxn, line: string): void {
  const [command, key = '', argument = ''] = line.split(' ');
  if (command === 'put') txn.put(key, Buffer.from(argument), 0n);
  else txn.deleteRange(key, argument.replace('\\0', '\0'));
}

async function converse(text: string): Promise<string> {
  const conversation = await Conversation.open();
  const output: string[] = [];
  for (const block of text.trimEnd().split(/\n\n+/)) {
    const lines = block.split('\n');
    const end = lines.indexOf('----');
    expect(end).toBeGreaterThan(0);
    output.push(...lines.slice(0, end + 1));
    for (const line of lines.slice(0, end)) {
      if (line.startsWith('#')) continue;
      const printed = await conversation.run(line);
      if (printed !== '') output.push(printed);
    }
    output.push('');
  }
  return output.join('\n');
}

test.each(readdirSync(directory).filter((name) => name.endsWith('.txt')))('%s', async (name) => {
  const path = join(directory, name);
  const text = readFileSync(path, 'utf8');
  const output = await converse(text);
  if (rewrite) writeFileSync(path, output);
  else expect(output).toBe(text);
});
