/** Which build a server is, as the labels of a metric that is always 1; the original's name. */

import type { VersionFacts } from '../handlers/version.ts';
import { Gauge, type MetricsRegistry } from '../metrics/registry.ts';

export function buildMetrics(registry: MetricsRegistry, facts: VersionFacts): void {
  const { major, minor, gitVersion, gitCommit, buildDate, platform } = facts;
  const build: Readonly<Record<string, string>> = {
    build_date: buildDate,
    compiler: 'none',
    git_commit: gitCommit,
    git_tree_state: 'clean',
    git_version: gitVersion,
    go_version: 'none',
    major,
    minor,
    platform,
  };
  registry.add(
    new Gauge('kubernetes_build_info', 'Which build this is.', Object.keys(build), () => [
      [Object.values(build), 1],
    ]),
  );
}
