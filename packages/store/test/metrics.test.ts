/**
 * /metrics of whole members: what etcd's mixin asks for, every name etcd 3.7 itself is tested for, counts that agree
 * with what was done, and a limit beside each queue of our own.
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { gunzipSync } from 'node:zlib';
import { request as httpRequest } from 'node:http';
import { services } from '@keelson/proto';
import { until } from '../../base/test/until.ts';
import { ask, LineStream } from './http-calls.ts';
import { parsePrometheusText, type MetricFamily, type Sample } from './prometheus-text.ts';
import { anyPort, serving, stopServing, type Serving } from './serving.ts';

afterEach(stopServing);

const b64 = (text: string): string => Buffer.from(text).toString('base64');

async function scrape(url: string): Promise<ReadonlyMap<string, MetricFamily>> {
  const { status, headers, body } = await ask(`${url}/metrics`);
  expect([status, headers['content-type']]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8']);
  return parsePrometheusText(body);
}

/** The lines a family would have, without the figure, to be asked by labels. */
function valueOf(
  families: ReadonlyMap<string, MetricFamily>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const family = [...families.entries()].find(([key]) => name === key || name.startsWith(`${key}_`))?.[1];
  const fits = (sample: Sample): boolean =>
    sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value);
  return family?.samples.find(fits)?.value;
}

/** contrib/mixin: metric, type, labels that alerts and dashboards use (reference 5.1; "up" is the scraper's own). */
const MIXIN: readonly (readonly [name: string, type: string, labels: readonly string[]])[] = [
  ['etcd_server_has_leader', 'gauge', []],
  ['etcd_server_leader_changes_seen_total', 'counter', []],
  ['grpc_server_handled_total', 'counter', ['grpc_code', 'grpc_method', 'grpc_service', 'grpc_type']],
  ['grpc_server_started_total', 'counter', ['grpc_service', 'grpc_type']],
  ['grpc_server_handling_seconds', 'histogram', ['grpc_service', 'grpc_method', 'grpc_type']],
  ['etcd_network_peer_round_trip_time_seconds', 'histogram', ['To']],
  ['etcd_network_peer_sent_failures_total', 'counter', ['To']],
  ['etcd_server_proposals_failed_total', 'counter', []],
  ['etcd_server_proposals_pending', 'gauge', []],
  ['etcd_server_proposals_committed_total', 'gauge', []],
  ['etcd_server_proposals_applied_total', 'gauge', []],
  ['etcd_disk_wal_fsync_duration_seconds', 'histogram', []],
  ['etcd_disk_backend_commit_duration_seconds', 'histogram', []],
  ['etcd_mvcc_db_total_size_in_bytes', 'gauge', []],
  ['etcd_mvcc_db_total_size_in_use_in_bytes', 'gauge', []],
  ['etcd_server_quota_backend_bytes', 'gauge', []],
  ['process_resident_memory_bytes', 'gauge', []],
  ['etcd_network_client_grpc_received_bytes_total', 'counter', []],
  ['etcd_network_client_grpc_sent_bytes_total', 'counter', []],
  ['etcd_network_peer_received_bytes_total', 'counter', ['From']],
  ['etcd_network_peer_sent_bytes_total', 'counter', ['To']],
];

/** What etcd's own test of 3.7 looks for on a member after three puts and a get, by prefix. */
const EXPECTED: Readonly<Record<string, string>> = {
  etcd_: 'cluster_version',
  etcd_debugging_:
    'auth_revision disk_backend_commit_rebalance_duration_seconds disk_backend_commit_spill_duration_seconds disk_backend_commit_write_duration_seconds lease_granted_total lease_renewed_total lease_revoked_total lease_ttl_total server_lease_expired_total snap_save_marshalling_duration_seconds snap_save_total_duration_seconds store_expires_total store_reads_total store_watch_requests_total store_watchers store_writes_total',
  etcd_debugging_mvcc_:
    'compact_revision current_revision db_compaction_keys_total db_compaction_last db_compaction_pause_duration_milliseconds db_compaction_total_duration_milliseconds events_total index_compaction_pause_duration_milliseconds keys_total pending_events_total slow_watcher_total total_put_size_in_bytes watch_stream_total watcher_total',
  etcd_debugging_server_watch_send_loop_:
    'watch_stream_duration_seconds watch_stream_duration_per_event_seconds control_stream_duration_seconds progress_duration_seconds',
  etcd_disk_:
    'backend_commit_duration_seconds backend_defrag_duration_seconds backend_snapshot_duration_seconds defrag_inflight wal_fsync_duration_seconds wal_write_bytes_total wal_write_duration_seconds',
  etcd_grpc_proxy_:
    'cache_hits_total cache_keys_total cache_misses_total events_coalescing_total watchers_coalescing_total',
  etcd_mvcc_:
    'db_open_read_transactions db_total_size_in_bytes db_total_size_in_use_in_bytes delete_total hash_duration_seconds hash_rev_duration_seconds put_total range_total txn_total',
  etcd_network_: 'client_grpc_received_bytes_total client_grpc_sent_bytes_total known_peers',
  etcd_server_:
    'apply_duration_seconds client_requests_total go_version has_leader health_failures health_success heartbeat_send_failures_total id is_leader is_learner leader_changes_seen_total learner_promote_successes proposals_applied_total proposals_committed_total proposals_failed_total proposals_pending quota_backend_bytes range_duration_seconds read_indexes_failed_total request_duration_seconds slow_apply_total slow_read_indexes_total snapshot_apply_in_progress_total version etcd_server_feature_enabled',
  etcd_snap_: 'db_fsync_duration_seconds db_save_total_duration_seconds fsync_duration_seconds',
  go_: 'gc_duration_seconds gc_gogc_percent gc_gomemlimit_bytes goroutines info sched_gomaxprocs_threads threads',
  go_memstats_:
    'alloc_bytes alloc_bytes_total buck_hash_sys_bytes frees_total gc_sys_bytes heap_alloc_bytes heap_idle_bytes heap_inuse_bytes heap_objects heap_released_bytes heap_sys_bytes last_gc_time_seconds mallocs_total mcache_inuse_bytes mcache_sys_bytes mspan_inuse_bytes mspan_sys_bytes next_gc_bytes other_sys_bytes stack_inuse_bytes stack_sys_bytes sys_bytes',
  grpc_server_: 'handled_total msg_received_total msg_sent_total started_total',
  os_fd_: 'limit used',
  process_:
    'cpu_seconds_total max_fds open_fds resident_memory_bytes start_time_seconds virtual_memory_bytes virtual_memory_max_bytes',
  promhttp_metric_handler_: 'requests_in_flight requests_total',
};

/** A histogram's bounds: the first, the factor, how many (reference 5.2). */
const BUCKETS: readonly (readonly [name: string, first: number, factor: number, count: number])[] = [
  ['etcd_server_apply_duration_seconds', 0.0001, 2, 20],
  ['etcd_server_range_duration_seconds', 0.0001, 2, 20],
  ['etcd_server_request_duration_seconds', 0.001, 2, 14],
  ['etcd_disk_wal_fsync_duration_seconds', 0.001, 2, 14],
  ['etcd_disk_wal_write_duration_seconds', 0.001, 2, 14],
  ['etcd_disk_backend_commit_duration_seconds', 0.001, 2, 14],
  ['etcd_disk_backend_defrag_duration_seconds', 0.1, 2, 13],
  ['etcd_disk_backend_snapshot_duration_seconds', 0.01, 2, 17],
  ['etcd_snap_fsync_duration_seconds', 0.001, 2, 14],
  ['etcd_snap_db_fsync_duration_seconds', 0.001, 2, 14],
  ['etcd_snap_db_save_total_duration_seconds', 0.1, 2, 10],
  ['etcd_mvcc_hash_duration_seconds', 0.01, 2, 15],
  ['etcd_mvcc_hash_rev_duration_seconds', 0.01, 2, 15],
  ['etcd_debugging_lease_ttl_total', 1, 2, 24],
  ['etcd_debugging_mvcc_index_compaction_pause_duration_milliseconds', 0.5, 2, 14],
  ['etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds', 1, 2, 13],
  ['etcd_debugging_mvcc_db_compaction_total_duration_milliseconds', 100, 2, 14],
  ['etcd_debugging_server_watch_send_loop_watch_stream_duration_seconds', 0.001, 2, 14],
];

/** etcd's names where a gauge ends in "_total" or a counter does not: a lint finds them in every etcd. */
const LINTED =
  /^(etcd_\w+|\w+_milliseconds) (non-counter metrics should not have "_total" suffix|counter metrics should have "_total" suffix|use base unit "seconds" instead of "milliseconds"|metric names should not contain .*)$/;

async function someWork({ post }: Serving): Promise<void> {
  for (const key of ['a', 'b', 'c']) await post('/v3/kv/put', { key: b64(key), value: b64('value') });
  await post('/v3/kv/range', { key: b64('k') });
}

describe('names', () => {
  test("all that etcd's mixin asks for, with its types and labels", async () => {
    const three = await serving({ metrics: 'extensive' }, 3);
    await someWork(three);
    // Members that hand each other messages have no prober: its report is made for it.
    const nobody = {
      step: () => {},
      isRemoved: () => false,
      reportUnreachable: () => {},
      reportSnapshot: () => {},
      receiveSnapshot: () => Promise.resolve(),
    };
    three.cluster.server(0).instruments.watched(nobody).reportRoundTrip?.(0xabcn, 2);
    await until(async () => {
      const families = await scrape(three.url);
      return MIXIN.every(([name]) => families.has(name));
    }, 'bytes to a peer');
    const families = await scrape(three.url);
    const found = MIXIN.map(([name, , labels]) => {
      const family = families.get(name);
      const has = labels.filter((label) =>
        family?.samples.every((each) => Object.hasOwn(each.labels, label)),
      );
      return [name, family?.type, has];
    });
    expect(found).toEqual(MIXIN.map((row) => [...row]));
  });

  test('all that etcd 3.7 is tested for', async () => {
    const one = await serving();
    await someWork(one);
    await scrape(one.url);
    const families = await scrape(one.url);
    const names = Object.entries(EXPECTED).flatMap(([prefix, all]) =>
      all.split(' ').map((name) => prefix + name),
    );
    expect(names).toHaveLength(131);
    expect(names.filter((name) => !families.has(name))).toEqual([]);
    expect(families.has('grpc_server_handling_seconds')).toBe(false);
  });

  test("buckets are etcd's", async () => {
    const one = await serving();
    await someWork(one);
    const families = await scrape(one.url);
    for (const [name, first, factor, count] of BUCKETS) {
      const { samples } = families.get(name)!;
      const [{ labels }] = samples;
      const { le: _le, ...series } = labels;
      const bounds = samples
        .filter((sample) => Object.entries(series).every(([label, value]) => sample.labels[label] === value))
        .flatMap((sample) => (sample.labels.le === undefined ? [] : [sample.labels.le]));
      expect([name, bounds.length, Number(bounds[0])]).toEqual([name, count + 1, first]);
      expect(Number(bounds[count - 1])).toBeCloseTo(first * factor ** (count - 1), 6);
    }
  });

  test('every queue of ours that has a limit shows both', async () => {
    const families = await scrape((await serving()).url);
    const limits = [...families.keys()].filter(
      (name) => name.startsWith('keelson_') && name.endsWith('_max'),
    );
    expect(limits.length).toBeGreaterThanOrEqual(3);
    for (const name of limits) expect(families.has(name.slice(0, -'_max'.length))).toBe(true);
  });
});

describe('figures', () => {
  test('agree with what was done, streams while they are open', async () => {
    const one = await serving();
    const { url, post } = one;
    const before = await scrape(url);
    await someWork(one);
    await post('/v3/kv/deleterange', { key: b64('a') });
    await post('/v3/kv/range', {});
    await post('/v3/lease/grant', { ID: '9', TTL: '100' });
    const watch = new LineStream(`${url}/v3/watch`, JSON.stringify({ create_request: { key: b64('b') } }));
    await watch.next();
    await post('/v3/kv/put', { key: b64('b') });
    await watch.next();
    const after = await scrape(url);
    const grew = (name: string, labels: Readonly<Record<string, string>> = {}): number =>
      (valueOf(after, name, labels) ?? 0) - (valueOf(before, name, labels) ?? 0);
    expect(grew('etcd_mvcc_put_total')).toBe(4);
    expect(grew('etcd_mvcc_delete_total')).toBe(1);
    expect(grew('etcd_server_proposals_applied_total')).toBe(6);
    expect(grew('etcd_debugging_lease_granted_total')).toBe(1);
    expect(grew('etcd_debugging_lease_ttl_total_bucket', { le: '128' })).toBe(1);
    expect(grew('etcd_debugging_lease_ttl_total_bucket', { le: '64' })).toBe(0);
    expect(grew('etcd_debugging_mvcc_watcher_total')).toBe(1);
    expect(grew('etcd_debugging_mvcc_events_total')).toBe(1);
    expect(grew('etcd_server_apply_duration_seconds_count', { op: 'Put', success: 'true' })).toBe(4);
    const put = { grpc_method: 'Put' };
    expect(grew('grpc_server_started_total', put)).toBe(4);
    expect(grew('grpc_server_handled_total', { ...put, grpc_code: 'OK' })).toBe(4);
    expect(grew('grpc_server_handled_total', { grpc_method: 'Range', grpc_code: 'InvalidArgument' })).toBe(1);
    expect(grew('grpc_server_msg_received_total', put)).toBe(4);
    expect(grew('grpc_server_msg_sent_total', put)).toBe(4);
    const bidi = { grpc_method: 'Watch', grpc_service: 'etcdserverpb.Watch', grpc_type: 'bidi_stream' };
    expect(grew('grpc_server_started_total', bidi)).toBe(1);
    expect(grew('grpc_server_msg_sent_total', bidi)).toBe(2);
    expect(grew('grpc_server_handled_total', { ...bidi, grpc_code: 'Canceled' })).toBe(0);
    expect(grew('etcd_server_client_requests_total', { type: 'unary' })).toBe(8);
    expect(grew('etcd_server_client_requests_total', { type: 'stream' })).toBe(1);
    watch.close();
    await until(async () => {
      const families = await scrape(url);
      return valueOf(families, 'grpc_server_handled_total', { ...bidi, grpc_code: 'Canceled' }) === 1;
    }, 'the watch to have ended');
  });

  test('lines read as etcd writes them: a method in every code from the start', async () => {
    const { url } = await serving();
    const { body } = await ask(`${url}/metrics`);
    expect(body).toContain(
      '\ngrpc_server_handled_total{grpc_code="Canceled",grpc_method="Watch",grpc_service="etcdserverpb.Watch",grpc_type="bidi_stream"} 0\n',
    );
    expect(body).toContain('\netcd_server_quota_backend_bytes 2.147483648e+09\n');
    expect(body).toContain('\netcd_server_is_learner 0\n');
    expect(body).toMatch(/\netcd_server_version\{server_version="3\.7\.1"\} 1\n/);
  });

  test('a failed and a good health check are counted, each by its name', async () => {
    const { url, post } = await serving();
    await ask(`${url}/health`);
    await ask(`${url}/readyz`);
    await post('/v3/maintenance/alarm', { action: 'ACTIVATE', memberID: '5', alarm: 'CORRUPT' });
    await ask(`${url}/health`);
    await ask(`${url}/readyz`);
    const families = await scrape(url);
    expect(valueOf(families, 'etcd_server_health_success')).toBe(1);
    expect(valueOf(families, 'etcd_server_health_failures')).toBe(1);
    const corruption = { type: 'readyz', name: 'data_corruption' };
    expect(valueOf(families, 'etcd_server_healthcheck', corruption)).toBe(0);
    expect(valueOf(families, 'etcd_server_healthchecks_total', { ...corruption, status: 'error' })).toBe(1);
    expect(valueOf(families, 'etcd_server_healthchecks_total', { ...corruption, status: 'success' })).toBe(1);
    expect(valueOf(families, 'etcd_debugging_server_alarms', { alarm_type: 'CORRUPT' })).toBe(1);
  });

  test('a stream whose client says what cannot be read is counted; one whose client goes is not', async () => {
    const { url, cluster } = await serving();
    const watch = services.Watch.methods.watch;
    const raw = { encode: (bytes: Buffer): Buffer => bytes, decode: (bytes: Buffer): Buffer => bytes };
    const stream = cluster.channel(0).bidi({ path: watch.path, kind: 'bidi', request: raw, response: raw });
    const ended = new Promise((resolve) => stream.onEnd(resolve));
    stream.onMessage(() => {});
    stream.write(Buffer.from([0xff]));
    await ended;
    const gone = cluster.channel(0).bidi(watch);
    const cancelled = new Promise((resolve) => gone.onEnd(resolve));
    gone.cancel();
    await cancelled;
    const failures = { Type: 'receive', API: 'watch' };
    expect(valueOf(await scrape(url), 'etcd_network_server_stream_failures_total', failures)).toBe(1);
  });

  test('a client version that is no text is refused; others are counted apart', async () => {
    const { url, post } = await serving();
    await post('/v3/kv/range', { key: 'YQ==' }, { 'Grpc-Metadata-Client-Api-Version': '3.7' });
    const bad = await post('/v3/kv/range', { key: 'YQ==' }, { 'Grpc-Metadata-Client-Api-Version': '\xff' });
    expect(JSON.parse(bad.body)).toMatchObject({
      code: 3,
      message: 'etcdserver: invalid client api version',
    });
    const families = await scrape(url);
    expect(valueOf(families, 'etcd_server_client_requests_total', { client_api_version: '3.7' })).toBe(1);
  });
});

describe('the endpoint', () => {
  test('addresses of its own have metrics and health, and nothing else', async () => {
    const { cluster } = await serving({ listenMetricsUrls: anyPort() });
    const { port } = cluster.server(0).clientPorts.find(({ use }) => use === 'metrics')!;
    const url = `http://127.0.0.1:${port}`;
    expect((await scrape(url)).has('etcd_server_has_leader')).toBe(true);
    expect((await ask(`${url}/health`)).body).toBe('{"health":"true","reason":""}');
    expect((await ask(`${url}/readyz`)).body).toBe('ok\n');
    for (const path of ['/version', '/v3/kv/range', '/debug/vars', '/'])
      expect([path, (await ask(url + path)).status]).toEqual([path, 404]);
  });

  test('--listen-client-http-urls: HTTP there, gRPC alone on the client port', async () => {
    const { cluster, url } = await serving({ listenClientHttpUrls: anyPort() });
    const { port } = cluster.server(0).clientPorts.find(({ use }) => use === 'http')!;
    expect((await ask(`http://127.0.0.1:${port}/health`)).status).toBe(200);
    await expect(ask(`${url}/health`)).rejects.toThrow();
  });

  test('gzip for who takes it', async () => {
    const { url } = await serving();
    const zipped = await new Promise<Buffer>((resolve, reject) => {
      const request = httpRequest(
        `${url}/metrics`,
        { headers: { 'Accept-Encoding': 'gzip' } },
        (response) => {
          expect(response.headers['content-encoding']).toBe('gzip');
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('end', () => resolve(Buffer.concat(chunks)));
        },
      );
      request.on('error', reject);
      request.end();
    });
    expect(parsePrometheusText(gunzipSync(zipped).toString('utf8')).size).toBeGreaterThan(100);
    expect(
      (await ask(`${url}/metrics`, { headers: { 'Accept-Encoding': 'gzip;q=0' } })).headers,
    ).not.toHaveProperty('content-encoding');
  });

  const promtool = spawnSync('promtool', ['--version']).status === 0 ? 'promtool' : process.env.PROMTOOL;
  const withPromtool = promtool === undefined ? test.skip : test;

  withPromtool(
    `promtool reads it${promtool === undefined ? ': SKIPPED, none is installed and PROMTOOL names none' : ''}`,
    async () => {
      const one = await serving({ metrics: 'extensive' }, 3);
      await someWork(one);
      const { body } = await ask(`${one.url}/metrics`);
      const { stdout, stderr, status } = spawnSync(promtool!, ['check', 'metrics'], {
        input: body,
        encoding: 'utf8',
      });
      // 3: read, with remarks; all of them are about names that are etcd's.
      expect([0, 3]).toContain(status);
      const remarks = (stdout + stderr).split('\n').filter((line) => line !== '');
      expect(remarks.filter((line) => !LINTED.test(line))).toEqual([]);
    },
  );
});
