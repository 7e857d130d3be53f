/**
 * How a member is, now and then: what the kernel says of its process, and what it says of itself in /metrics. One
 * watcher a member keeps the last look, since most figures are differences. A member of etcd tells the pauses of its
 * collector too, and has no event loop.
 */
import { get as httpGet } from 'node:http';
import { get as httpsGet } from 'node:https';
import type { DialTlsOptions } from '@keelson/rpc';
import type { Memory } from '../proc.ts';
import type { Cluster } from '../servers.ts';
import { bucketsOf, parseScrape, percentile, since, type Buckets, type Scrape } from './exposition.ts';

/** Milliseconds and bytes; of the time since the look before. */
export interface MemberFigures {
  readonly name: string;
  readonly memory: Memory;
  readonly heapBytes: number;
  /** Share of one core. */
  readonly cpuShare: number;
  readonly collections: number;
  readonly pauseMs: number;
  /** Undefined where the member does not say. */
  readonly longestPauseMs: number | undefined;
  readonly minorPauses: number | undefined;
  readonly majorPauses: number | undefined;
  readonly loopP50Ms: number | undefined;
  readonly loopP99Ms: number | undefined;
  readonly loopMaxMs: number | undefined;
}

const SCRAPE_LIMIT_MS = 10_000;
const MS = 1000;

function fetchMetrics(address: string, tls: DialTlsOptions | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    const [host = '', port = ''] = address.split(':');
    const options = { host, port: Number(port), path: '/metrics', timeout: SCRAPE_LIMIT_MS };
    const { ca = [], cert, key } = tls ?? {};
    const request =
      tls === undefined
        ? httpGet(options)
        : httpsGet({
            ...options,
            ca: [...ca],
            ...(cert !== undefined && { cert }),
            ...(key !== undefined && { key }),
          });
    request.once('error', reject);
    request.once('timeout', () => request.destroy(new Error(`/metrics of ${address} does not answer`)));
    request.once('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    });
  });
}

interface Look {
  readonly atMs: number;
  readonly cpuSeconds: number;
  readonly scrape: Scrape;
}

export class ClusterWatch {
  private readonly cluster: Cluster;
  private last: readonly (Look | undefined)[];

  constructor(cluster: Cluster) {
    this.cluster = cluster;
    this.last = cluster.members.map(() => undefined);
  }

  /** Of every member, since the look before; the first look returns nothing. @throws Error when one has ended */
  async look(): Promise<MemberFigures[]> {
    const { cluster, last } = this;
    const texts = await Promise.all(cluster.addresses.map((address) => fetchMetrics(address, cluster.tls)));
    const usage = cluster.usage();
    if (usage.length !== cluster.members.length) throw new Error(`a member of ${cluster.label} has ended`);
    const looks = texts.map((text, i): Look => {
      return { atMs: performance.now(), cpuSeconds: usage[i].cpuSeconds, scrape: parseScrape(text) };
    });
    this.last = looks;
    return looks.flatMap((now, i) => {
      const before = last[i];
      if (before === undefined) return [];
      return [{ name: usage[i].name, memory: usage[i].memory, ...between(before, now) }];
    });
  }
}

function between(before: Look, now: Look): Omit<MemberFigures, 'name' | 'memory'> {
  const of = (name: string): Buckets => since(bucketsOf(before.scrape, name), bucketsOf(now.scrape, name));
  const grown = (name: string): number => (now.scrape.get(name) ?? 0) - (before.scrape.get(name) ?? 0);
  const minor = of('keelson_gc_minor_pause_seconds');
  const major = of('keelson_gc_major_pause_seconds');
  const loop = of('keelson_event_loop_delay_seconds');
  const tells = major.counts.length > 0;
  const whenTold = <T>(value: T): T | undefined => (tells ? value : undefined);
  return {
    heapBytes: now.scrape.get('go_memstats_heap_alloc_bytes') ?? 0,
    cpuShare: ((now.cpuSeconds - before.cpuSeconds) * MS) / Math.max(1, now.atMs - before.atMs),
    collections: tells ? minor.count + major.count : grown('go_gc_duration_seconds_count'),
    pauseMs: (tells ? minor.sum + major.sum : grown('go_gc_duration_seconds_sum')) * MS,
    // Go tells the longest of its last 256 pauses, which may be long past: the largest over a soak is right all the same.
    longestPauseMs: tells
      ? Math.max(percentile(minor, 100), percentile(major, 100)) * MS
      : (now.scrape.get('go_gc_duration_seconds{quantile="1"}') ?? 0) * MS,
    minorPauses: whenTold(minor.count),
    majorPauses: whenTold(major.count),
    loopP50Ms: whenTold(percentile(loop, 50) * MS),
    loopP99Ms: whenTold(percentile(loop, 99) * MS),
    loopMaxMs: whenTold(percentile(loop, 100) * MS),
  };
}
