/**
 * What a soak asks for, all at once: gets, puts, transactions, and watchers who are told of a part of the writes.
 * Latencies are kept by kind and, for a course over time, since somebody looked last. A watch counts from the intended
 * start of its write, which the value carries.
 */
import { etcdserverpb, services } from '@keelson/proto';
import { RpcError, StatusCode, type ClientStream } from '@keelson/rpc';
import { compare, op } from '@keelson/client';
import { LatencyHistogram, type Quantiles } from '../histogram.ts';
import { Keys } from '../keys.ts';
import { preload } from '../kv-load.ts';
import type { Call } from '../load.ts';
import type { Settings } from '../options.ts';
import type { Progress } from '../progress.ts';
import type { Subject } from '../servers.ts';
import { Connections } from '../transport.ts';

export const KINDS = ['get', 'put', 'txn', 'watch'] as const;
export type Kind = (typeof KINDS)[number];

/** Of ten calls six get, three put, one is a transaction: a store that is asked more than told, and told a lot. */
const GET_SHARE = 0.6;
const PUT_SHARE_OF_REST = 0.75;
const WATCHERS = 100;
const STREAMS = 10;
/** Of a value: the intended start in ms. */
const STAMP_BYTES = 8;

type Stream = ClientStream<etcdserverpb.WatchRequest, etcdserverpb.WatchResponse>;

export class SoakLoad {
  private readonly connections: Connections;
  private readonly readers: Connections;
  private readonly keys: Keys;
  private readonly streams: Stream[] = [];
  private readonly total: Readonly<Record<Kind, LatencyHistogram>>;
  private recent = new LatencyHistogram();
  /** Whether latencies are kept: after the warm-up. */
  counting = false;
  /** Why a watch stream ended, if one did. */
  lost: RpcError | undefined = undefined;

  private constructor(connections: Connections, readers: Connections, settings: Settings) {
    this.connections = connections;
    this.readers = readers;
    this.keys = new Keys({ ...settings, valueBytes: Math.max(settings.valueBytes, STAMP_BYTES) });
    this.total = {
      get: new LatencyHistogram(),
      put: new LatencyHistogram(),
      txn: new LatencyHistogram(),
      watch: new LatencyHistogram(),
    };
  }

  /** Connected, keys stored, watchers there. */
  static async open(subject: Subject, settings: Settings, progress: Progress): Promise<SoakLoad> {
    const connections = await Connections.open(settings.transport, subject, settings.connections);
    try {
      const readers = await Connections.open(settings.transport, subject, STREAMS);
      const load = new SoakLoad(connections, readers, settings);
      await preload(connections, load.keys, 0, settings.keySpace, progress);
      await load.subscribe();
      return load;
    } catch (error) {
      connections.close();
      throw error;
    }
  }

  readonly call: Call = async (client, _sequence, intendedMs) => {
    const { keys } = this;
    const channel = this.connections.of(client);
    const kind = this.pickKind();
    const key = keys.pick();
    const { range, put, txn } = services.KV.methods;
    if (kind === 'get') {
      const { kvs } = await channel.unary(range, new etcdserverpb.RangeRequest({ key }));
      if (kvs.length === 0) throw new Error(`no key ${key.toString('latin1')}: was it loaded?`);
    } else if (kind === 'put') {
      await channel.unary(put, new etcdserverpb.PutRequest({ key, value: this.stamped(intendedMs) }));
    } else {
      const request = new etcdserverpb.TxnRequest({
        compare: [compare.exists(key)],
        success: [op.put(key, this.stamped(intendedMs))],
      });
      await channel.unary(txn, request);
    }
    this.record(kind, performance.now() - intendedMs);
  };

  /** Of calls since this was asked last; watches are not in it. */
  takeRecent(): Quantiles {
    const { recent } = this;
    this.recent = new LatencyHistogram();
    return recent.quantiles();
  }

  byKind(): Record<Kind, Quantiles> {
    const { get, put, txn, watch } = this.total;
    return { get: get.quantiles(), put: put.quantiles(), txn: txn.quantiles(), watch: watch.quantiles() };
  }

  /** Of all calls together; watches are not in it. */
  overall(): Quantiles {
    const all = new LatencyHistogram();
    for (const kind of ['get', 'put', 'txn'] as const) all.merge(this.total[kind]);
    return all.quantiles();
  }

  close(): void {
    for (const stream of this.streams) stream.cancel();
    this.connections.close();
    this.readers.close();
  }

  private pickKind(): Exclude<Kind, 'watch'> {
    if (this.keys.chance(GET_SHARE)) return 'get';
    return this.keys.chance(PUT_SHARE_OF_REST) ? 'put' : 'txn';
  }

  private stamped(intendedMs: number): Buffer {
    const value = Buffer.from(this.keys.value());
    value.writeDoubleLE(intendedMs, 0);
    return value;
  }

  private record(kind: Kind, ms: number): void {
    if (!this.counting) return;
    this.total[kind].record(ms);
    if (kind !== 'watch') this.recent.record(ms);
  }

  private async subscribe(): Promise<void> {
    const sinceMs = performance.now();
    await new Promise<void>((resolve, reject) => {
      let created = 0;
      for (const channel of this.readers.channels) {
        const stream = channel.bidi(services.Watch.methods.watch);
        this.streams.push(stream);
        stream.onMessage((response) => {
          if (response.created && ++created === WATCHERS) resolve();
          const nowMs = performance.now();
          for (const { kv } of response.events) {
            if (kv === undefined || kv === null || kv.value.length < STAMP_BYTES) continue;
            const startMs = kv.value.readDoubleLE(0);
            // What was stored before has no stamp but bytes that read as any number.
            if (startMs >= sinceMs && startMs <= nowMs) this.record('watch', nowMs - startMs);
          }
        });
        stream.onEnd((error) => {
          this.lost = error ?? new RpcError(StatusCode.Unavailable, 'a watch stream ended');
          reject(this.lost);
        });
      }
      for (let i = 0; i < WATCHERS; i++) {
        const createRequest = new etcdserverpb.WatchCreateRequest({ key: this.keys.at(i) });
        this.streams[i % this.streams.length].write(new etcdserverpb.WatchRequest({ createRequest }));
      }
    });
  }
}
