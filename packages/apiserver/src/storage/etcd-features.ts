/**
 * What a version of etcd can be trusted with. A request for progress was answered too early, before events that were on
 * their way, until 3.4.31 and 3.5.13: a cache that believed it would read stale state as new.
 */

type Version = readonly [major: number, minor: number, patch: number];

/** First fixed version of each minor line that had the bug; later lines never had it. */
const FIXED: readonly Version[] = [
  [3, 4, 31],
  [3, 5, 13],
];

/** Whether every member answers requests for progress only when it is true. @param versions `3.5.21`, `3.7.0-rc.0` */
export function versionsReportProgress(versions: readonly string[]): boolean {
  return versions.length > 0 && versions.every((text) => reportsProgress(text));
}

function reportsProgress(text: string): boolean {
  const parts = /^v?(\d+)\.(\d+)\.(\d+)/.exec(text);
  if (parts === null) return false;
  const version: Version = [Number(parts[1]), Number(parts[2]), Number(parts[3])];
  if (compareVersions(version, FIXED[0]) < 0) return false;
  const line = FIXED.find(([major, minor]) => major === version[0] && minor === version[1]);
  return line === undefined || compareVersions(version, line) >= 0;
}

function compareVersions(a: Version, b: Version): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}
