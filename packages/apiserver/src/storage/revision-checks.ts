/**
 * Whether keys are still of the revisions that somebody knows: what a read of an object that a cache has comes down to.
 * All that is asked in one turn of the event loop goes to the store in one question, read by a quorum as each by itself
 * would be; a value never comes along.
 */

import { op, type Client } from '@keelson/client';

/** etcd refuses transactions of more than 128 operations. */
const KEYS_MAX = 100;

interface Asked {
  readonly key: string;
  readonly resolve: (revision: number) => void;
  readonly reject: (error: unknown) => void;
}

export class RevisionChecks {
  private readonly client: Client;
  private readonly timeoutMs: number;
  private waiting: Asked[] = [];

  constructor(client: Client, timeoutMs: number) {
    this.client = client;
    this.timeoutMs = timeoutMs;
  }

  /** The revision of a key's last change; 0 where there is no such key. @throws EtcdError */
  revisionOf(key: string): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.waiting.push({ key, resolve, reject }) === 1) setImmediate(this.ask);
    });
  }

  private readonly ask = (): void => {
    const { waiting } = this;
    this.waiting = [];
    for (let at = 0; at < waiting.length; at += KEYS_MAX) void this.askFor(waiting.slice(at, at + KEYS_MAX));
  };

  private async askFor(asked: readonly Asked[]): Promise<void> {
    const { kv } = this.client;
    const options = { timeoutMs: this.timeoutMs };
    try {
      if (asked.length === 1) {
        const { kvs } = await kv.get(asked[0].key, { ...options, keysOnly: true });
        asked[0].resolve(kvs[0]?.modRevision ?? 0);
        return;
      }
      const success = asked.map(({ key }) => op.get(key, { keysOnly: true }));
      const { responses } = await kv.txn({ success }, options);
      for (let at = 0; at < asked.length; at += 1) {
        asked[at].resolve(responses[at]?.responseRange?.kvs[0]?.modRevision ?? 0);
      }
    } catch (error) {
      for (const { reject } of asked) reject(error);
    }
  }
}
