/**
 * Loads on keys and values: put, range, transaction, delete, and a mixture. Each function makes the call that
 * the engine repeats; a preload puts the keys there that reads and deletes need. Nothing is ever retried.
 */
import { etcdserverpb, services } from '@keelson/proto';
import { compare, op, rangeOf } from '@keelson/client';
import type { Keys } from './keys.ts';
import type { Call } from './load.ts';
import type { Settings } from './options.ts';
import type { Progress } from './progress.ts';
import type { Connections } from './transport.ts';

const { range, put, txn, deleteRange } = services.KV.methods;

/** Below etcd's --max-txn-ops of 128. */
const PRELOAD_BATCH = 100;
const PRELOAD_CALLS = 16;
/** Digits a prefix leaves open: 100 neighbours. */
const PREFIX_DIGITS = 2;

export function putCall(connections: Connections, keys: Keys): Call {
  return async (client) => {
    const request = new etcdserverpb.PutRequest({ key: keys.pick(), value: keys.value() });
    await connections.of(client).unary(put, request);
  };
}

export function rangeCall(
  connections: Connections,
  keys: Keys,
  settings: Pick<Settings, 'serializable' | 'prefix'>,
): Call {
  const { serializable, prefix } = settings;
  return async (client) => {
    const key = keys.pick();
    const bounds = prefix
      ? rangeOf(key.subarray(0, Math.max(1, key.length - PREFIX_DIGITS)), { prefix: true })
      : { key };
    const request = new etcdserverpb.RangeRequest({ ...bounds, serializable });
    const { kvs } = await connections.of(client).unary(range, request);
    if (kvs.length === 0) throw new Error(`no key ${key.toString('latin1')}: was it loaded?`);
  };
}

/** `size` neighbours in the order of keys, from one of the first half. */
export function listCall(connections: Connections, keys: Keys, size: number): Call {
  let next = 0;
  return async (client) => {
    const first = next++ % (keys.options.keySpace - size + 1);
    // As etcd's clients: up to a key, not included.
    const request = new etcdserverpb.RangeRequest({
      key: keys.at(first),
      rangeEnd: keys.at(first + size),
      serializable: true,
    });
    const { kvs } = await connections.of(client).unary(range, request);
    if (kvs.length !== size) throw new Error(`a list of ${size} keys has ${kvs.length}`);
  };
}

/** One comparison that holds, one put. */
export function txnCall(connections: Connections, keys: Keys): Call {
  return async (client) => {
    const key = keys.pick();
    const request = new etcdserverpb.TxnRequest({
      compare: [compare.exists(key)],
      success: [op.put(key, keys.value())],
    });
    const { succeeded } = await connections.of(client).unary(txn, request);
    if (!succeeded) throw new Error(`no key ${key.toString('latin1')}: was it loaded?`);
  };
}

/** Keys in order, each once: the engine must not make more calls than there are keys. */
export function deleteCall(connections: Connections, keys: Keys): Call {
  return async (client, sequence) => {
    const request = new etcdserverpb.DeleteRangeRequest({ key: keys.at(sequence) });
    const { deleted } = await connections.of(client).unary(deleteRange, request);
    if (deleted !== 1) throw new Error(`key number ${sequence} was not there to delete`);
  };
}

export function mixedCall(connections: Connections, keys: Keys, settings: Settings): Call {
  const write = putCall(connections, keys);
  const read = rangeCall(connections, keys, settings);
  return (client, sequence, intendedMs) =>
    (keys.chance(settings.readShare) ? read : write)(client, sequence, intendedMs);
}

/** Stores keys `first` (included) to `end` (not), in large transactions. */
export async function preload(
  connections: Connections,
  keys: Keys,
  first: number,
  end: number,
  progress: Progress,
): Promise<void> {
  let next = first;
  progress.follow(() => ({ fraction: (next - first) / (end - first), text: `loading ${end} keys` }));
  const worker = async (client: number): Promise<void> => {
    while (next < end) {
      const from = next;
      next = Math.min(end, from + PRELOAD_BATCH);
      const success = Array.from({ length: next - from }, (_, i) => op.put(keys.at(from + i), keys.value()));
      await connections.of(client).unary(txn, new etcdserverpb.TxnRequest({ success }));
    }
  };
  await Promise.all(Array.from({ length: PRELOAD_CALLS }, (_, client) => worker(client)));
}
