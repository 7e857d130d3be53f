/** What a server says of its build. */

import { expect, test } from '@jest/globals';

import { versionFacts } from '../handlers/version.ts';
import { MetricsRegistry } from '../metrics/registry.ts';
import { buildMetrics } from './build-metrics.ts';

test('the build is told by labels, its platform in the words of clients', () => {
  const registry = new MetricsRegistry();
  buildMetrics(
    registry,
    versionFacts({ commit: 'c0ffee', date: '2026-11-22T00:00:00Z', platform: 'linux/x64' }),
  );
  expect(registry.text()).toContain(
    'kubernetes_build_info{build_date="2026-11-22T00:00:00Z",compiler="none",git_commit="c0ffee",git_tree_state="clean",git_version="v1.36.0+keelson",go_version="none",major="1",minor="36",platform="linux/amd64"} 1\n',
  );
});
