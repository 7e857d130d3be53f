/**
 * The same history in a real etcd and in ours must give the same HashKV: keys, revisions, encoding and what
 * compaction keeps are then the same, byte for byte. The oracle is whatever `etcd` is in PATH (Debian's 3.4),
 * written to through its JSON gateway and hashed by etcdctl, because its gateway has no HashKV. 3.4 refuses to
 * hash the compacted revision itself, 3.6 does not.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { Prng } from '@keelson/base';
import { HAS_ETCD, startEtcd, type EtcdProcess } from '../../../base/test/etcd-process.ts';
import { Bench, noPause } from './bench.ts';

const oracleTest = HAS_ETCD ? test : test.skip;

class Oracle {
  private readonly etcd: EtcdProcess;

  private constructor(etcd: EtcdProcess) {
    this.etcd = etcd;
  }

  static async start(): Promise<Oracle> {
    return new Oracle(await startEtcd());
  }

  async call(method: string, body: unknown): Promise<void> {
    const response = await fetch(`${this.etcd.url}/v3/${method}`, {
      method: 'POST',
      body: JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(text);
  }

  /** HashKV; compactRevision -1 when nothing was compacted. */
  async hash(revision: number): Promise<{ hash: number; compactRevision: number }> {
    const { stdout } = await promisify(execFile)(
      'etcdctl',
      ['--endpoints', this.etcd.url, 'endpoint', 'hashkv', `--rev=${revision}`, '-w', 'json'],
      { env: { ...process.env, ETCDCTL_API: '3' } },
    );
    const number = (name: string): number => Number(new RegExp(`"${name}":(-?[0-9]+)`).exec(stdout)?.[1]);
    return { hash: number('hash'), compactRevision: number('compact_revision') };
  }

  stop(): Promise<void> {
    return this.etcd.stop();
  }
}

function base64(text: string): string {
  return Buffer.from(text, 'latin1').toString('base64');
}

oracleTest(
  HAS_ETCD
    ? 'HashKV equals a real etcd for the same history'
    : 'HashKV equals a real etcd (skipped: no etcd and etcdctl in PATH)',
  async () => {
    const prng = new Prng(20_160_817);
    const oracle = await Oracle.start();
    try {
      const bench = await Bench.open();
      await oracle.call('lease/grant', { ID: '7000000000000000001', TTL: 3600 });
      const keys = ['a', 'b', 'ba', '\0', 'ÿ', 'ÿÿ', 'long'.repeat(50)];
      let compacted = 0;
      for (let i = 0; i < 260; i++) {
        const key = keys[prng.below(keys.length)];
        const value = 'v'.repeat(prng.below(200)) + String(i);
        const lease = prng.below(4) === 0 ? 7_000_000_000_000_000_001n : 0n;
        switch (prng.below(8)) {
          case 0: {
            const end = prng.below(2) === 0 ? '' : keys[prng.below(keys.length)];
            await oracle.call('kv/deleterange', { key: base64(key), range_end: base64(end) });
            bench.delete(key, end);
            break;
          }
          case 1: {
            const others = keys.filter((name) => name !== key);
            await oracle.call('kv/txn', {
              success: [
                { request_put: { key: base64(key), value: base64(value), lease: String(lease) } },
                ...others.map((name) => ({ request_delete_range: { key: base64(name) } })),
                { request_put: { key: base64('txn'), value: base64(value) } },
              ],
            });
            bench.write((txn) => {
              txn.put(key, Buffer.from(value), lease);
              for (const name of others) txn.deleteRange(name, '');
              txn.put('txn', Buffer.from(value), 0n);
            });
            break;
          }
          default:
            await oracle.call('kv/put', { key: base64(key), value: base64(value), lease: String(lease) });
            bench.put(key, value, lease);
        }
        if (i % 60 === 59) {
          // Once at a delete: etcd drops it with what it ends, we keep it for watches, and both hash alike.
          const atDelete = i === 119;
          if (atDelete) {
            await oracle.call('kv/put', { key: base64('gone'), value: base64('soon') });
            bench.put('gone', 'soon');
            await oracle.call('kv/deleterange', { key: base64('gone') });
            bench.delete('gone');
          }
          compacted = bench.store.currentRevision - (atDelete ? 0 : prng.below(20));
          await oracle.call('kv/compaction', { revision: String(compacted), physical: true });
          expect(bench.compact(compacted)).toBe('ok');
          await bench.store.runCompaction(noPause);
          if (atDelete) {
            await oracle.call('kv/put', { key: base64('next'), value: base64('next') });
            bench.put('next', 'next');
          }
        }
        if (i % 20 !== 19) continue;
        const { currentRevision } = bench.store;
        const from = compacted + 1;
        for (const revision of [0, from, Math.floor((from + currentRevision) / 2)]) {
          if (revision > currentRevision) continue;
          const theirs = await oracle.hash(revision);
          const ours = await bench.store.hashKV(revision);
          expect(ours).toMatchObject({ ...theirs, currentRevision });
        }
      }
      expect(compacted).toBeGreaterThan(100);
    } finally {
      await oracle.stop();
    }
  },
);
