/**
 * Loads on watches: keys are written, and every event is followed to every watcher. A write counts as done
 * when its last watcher has it, so that the number of writes in flight bounds what a server must hold back.
 * The value carries the write's number and its intended start: delivery is timed from there.
 */
import { etcdserverpb, services } from '@keelson/proto';
import { RpcError, StatusCode, type ClientStream } from '@keelson/rpc';
import { LatencyHistogram } from './histogram.ts';
import { Keys } from './keys.ts';
import type { Call } from './load.ts';
import { Meter, runLoad, type Measured } from './measured.ts';
import type { Settings } from './options.ts';
import type { Progress } from './progress.ts';
import type { Subject } from './servers.ts';
import { Connections } from './transport.ts';

/** Write number (4 bytes) and intended start in ms (8). */
const STAMP_BYTES = 12;
/** A delivery that takes longer is an error, not a latency. */
const DELIVERY_LIMIT_MS = 30_000;

type Stream = ClientStream<etcdserverpb.WatchRequest, etcdserverpb.WatchResponse>;

interface Write {
  left: number;
  readonly done: () => void;
}

/** @param settings.clients writes in flight at most, from their start to their last delivery */
export async function measureWatch(
  subject: Subject,
  settings: Settings,
  progress: Progress,
): Promise<Measured> {
  const keys = new Keys({
    keyBytes: settings.keyBytes,
    valueBytes: Math.max(settings.valueBytes, STAMP_BYTES),
    keySpace: settings.watchKeys,
    sequential: true,
    seed: settings.seed,
  });
  const { transport, connections: count } = settings;
  const readers = await Connections.open(transport, subject, count);
  const writers = await Connections.open(transport, subject, Math.min(count, settings.clients));
  const streams: Stream[] = [];
  try {
    const meter = new Meter(subject);
    const deliveries = new LatencyHistogram();
    const writes = new Map<number, Write>();
    let delivered = 0;
    const received = (response: etcdserverpb.WatchResponse): void => {
      const nowMs = performance.now();
      for (const { kv } of response.events) {
        if (kv === undefined || kv === null) continue;
        if (meter.running) {
          delivered++;
          deliveries.record(nowMs - kv.value.readDoubleLE(4));
        }
        const write = writes.get(kv.value.readUInt32LE(0));
        if (write !== undefined && --write.left === 0) write.done();
      }
    };
    streams.push(...(await subscribe(readers, settings, keys, received)));
    const call: Call = async (client, sequence, intendedMs) => {
      const value = Buffer.from(keys.value());
      value.writeUInt32LE(sequence, 0);
      value.writeDoubleLE(intendedMs, 4);
      const everywhere = new Promise<void>((resolve, reject) => {
        const limit = setTimeout(() => {
          writes.delete(sequence);
          reject(new RpcError(StatusCode.DeadlineExceeded, 'an event did not reach every watcher'));
        }, DELIVERY_LIMIT_MS);
        const done = (): void => {
          clearTimeout(limit);
          writes.delete(sequence);
          resolve();
        };
        writes.set(sequence, { left: settings.watchersPerKey, done });
      });
      const request = new etcdserverpb.PutRequest({ key: keys.at(sequence % settings.watchKeys), value });
      await Promise.all([writers.of(client).unary(services.KV.methods.put, request), everywhere]);
    };
    const load = await runLoad(settings, call, meter, progress);
    const measured = meter.result(load, delivered, {
      writesPerSecond: load.completed / load.seconds,
      lastDeliveryP99Ms: load.latency.p99,
    });
    return { ...measured, latency: deliveries.quantiles() };
  } finally {
    for (const stream of streams) stream.cancel();
    readers.close();
    writers.close();
  }
}

/** Resolves when the server said of every watcher that it is there. */
async function subscribe(
  readers: Connections,
  settings: Settings,
  keys: Keys,
  received: (response: etcdserverpb.WatchResponse) => void,
): Promise<Stream[]> {
  const { watchKeys, watchersPerKey, watchStreams } = settings;
  const total = watchKeys * watchersPerKey;
  const streams: Stream[] = Array.from({ length: Math.min(watchStreams, total) }, (_, i) =>
    readers.of(i).bidi(services.Watch.methods.watch),
  );
  await new Promise<void>((resolve, reject) => {
    let created = 0;
    for (const stream of streams) {
      stream.onMessage((response) => {
        if (response.created) {
          created++;
          if (created === total) resolve();
        } else received(response);
      });
      stream.onEnd((error) => {
        reject(error ?? new RpcError(StatusCode.Unavailable, 'a watch stream ended'));
      });
    }
    for (let i = 0; i < total; i++) {
      const createRequest = new etcdserverpb.WatchCreateRequest({ key: keys.at(i % watchKeys) });
      streams[i % streams.length].write(new etcdserverpb.WatchRequest({ createRequest }));
    }
  });
  return streams;
}
