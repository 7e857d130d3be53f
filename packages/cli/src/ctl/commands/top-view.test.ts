/** Frames of `top`, made of samples. */
import { expect, test } from '@jest/globals';
import { parseMetrics } from '../metrics-page.ts';
import { frameJson, frameOf, rowsOf, type MemberSample, type MemberStatus } from './top-view.ts';

const status = (over: Partial<MemberStatus> = {}): MemberStatus => ({
  name: 'm1',
  id: 10n,
  leader: 10n,
  learner: false,
  version: '3.7.1',
  term: 3,
  raftIndex: 100,
  appliedIndex: 100,
  revision: 50,
  dbSizeBytes: 20_480,
  dbInUseBytes: 8192,
  errors: [],
  ...over,
});
const page = (puts: number): string => `# HELP etcd_mvcc_put_total puts
# TYPE etcd_mvcc_put_total counter
etcd_mvcc_put_total ${puts}
etcd_mvcc_range_total 7
grpc_server_started_total{grpc_method="Put",grpc_code="OK"} 3
grpc_server_started_total{grpc_method="Range"} 4
etcd_debugging_mvcc_watcher_total 12
process_resident_memory_bytes 1.5e+08
`;
const sample = (over: Partial<MemberSample> & { atMs: number }): MemberSample => ({
  endpoint: 'http://a:1',
  status: status(),
  error: '',
  metrics: parseMetrics(page(100)),
  ...over,
});

test('a page of metrics: sums over labels, numbers in any notation', () => {
  const metrics = parseMetrics(page(5));
  expect(metrics.get('grpc_server_started_total')).toBe(7);
  expect(metrics.get('process_resident_memory_bytes')).toBe(150_000_000);
});

test('rates are of what happened between two samples', () => {
  const later = [sample({ atMs: 3000, metrics: parseMetrics(page(350)) })];
  const [row] = rowsOf([sample({ atMs: 1000 })], later);
  expect(row).toMatchObject({ role: 'leader', putsPerSecond: 125, getsPerSecond: 0, watchers: 12, lag: 0 });
  expect(rowsOf([], later)[0]?.putsPerSecond).toBeUndefined();
  // Another process counts from zero again.
  const restarted = [sample({ atMs: 3000, metrics: parseMetrics(page(1)) })];
  expect(rowsOf([sample({ atMs: 1000 })], restarted)[0]?.putsPerSecond).toBeUndefined();
});

test('a frame: the cluster in a line, a row a member, whatever is known of it', () => {
  const now = [
    sample({ atMs: 2000, metrics: parseMetrics(page(1100)) }),
    sample({
      atMs: 2000,
      endpoint: 'http://b:1',
      status: status({ name: 'm2', id: 11n, appliedIndex: 90, errors: ['memberID:11 alarm:NOSPACE '] }),
      metrics: undefined,
    }),
    sample({
      atMs: 2000,
      endpoint: 'http://c:1',
      status: undefined,
      error: 'unreachable',
      metrics: undefined,
    }),
  ];
  const before = [sample({ atMs: 1000 })];
  const lines = frameOf(rowsOf(before, now));
  expect(lines[0]).toBe('members 2/3   leader m1   term 3   revision 50   puts 1000/s   watchers 12');
  expect(lines[2]).toMatch(/^MEMBER +ROLE +TERM +REVISION/);
  expect(lines[3]).toMatch(/^m1 +leader +3 +50 +100 +0 +1000 +0 .* ok$/);
  expect(lines[4]).toMatch(/^m2 +follower +3 +50 +100 +10 +- .* memberID:11 alarm:NOSPACE$/);
  expect(lines[5]).toMatch(/^http:\/\/c:1 +unknown +- .* unreachable$/);
  const { members } = JSON.parse(frameJson(rowsOf(before, now)));
  expect(members[1]).toMatchObject({ member: 'm2', id: 'b', leader: 'a', lag: 10 });
  expect(members[2]).toMatchObject({ role: 'unknown', health: 'unreachable' });
});
