// The order in which jest runs the files of tests: those that take long by their nature first, so that none of
// them is left to one worker while the other has nothing to do. A fresh clone has no times of earlier runs, and by
// size, jest's own way then, the slowest came late. Everything else: by size. It decides nothing but the order.
import { statSync } from 'node:fs';

/** Slowest first; what is not listed takes seconds. */
const SLOW = [
  'tests/robustness/processes.test.ts',
  'tests/conformance/kubectl.test.ts',
  'tests/conformance/kubectl-etcd.test.ts',
  'tests/conformance/etcdctl.test.ts',
  'tests/compatibility/npm-clients/npm-clients.test.ts',
  'tests/conformance/auth.test.ts',
  'tests/conformance/tls.test.ts',
  'tests/conformance/api.test.ts',
  'tests/conformance/generated/generated.test.ts',
  'packages/cli/test/ctl.test.ts',
  'packages/store/test/http-limits.test.ts',
  'packages/embed/test/fluent-client.test.ts',
];

export default class SlowFirst {
  sort(tests) {
    const weighed = tests.map((test) => {
      const place = SLOW.findIndex((name) => test.path.endsWith(`/${name}`));
      return { test, place: place < 0 ? SLOW.length : place, bytes: statSync(test.path).size };
    });
    weighed.sort((a, b) => a.place - b.place || b.bytes - a.bytes);
    return weighed.map(({ test }) => test);
  }

  /** `--shard`: every so many of them. */
  shard(tests, { shardIndex, shardCount }) {
    return this.sort([...tests]).filter((_, i) => i % shardCount === shardIndex - 1);
  }

  /** `--onlyFailures` needs results of earlier runs, which are not kept. */
  allFailedTests(tests) {
    return tests;
  }

  cacheResults() {}
}
