/**
 * A short budget of what tests/crash/main.ts does at length, on a real member under strace: images of its disk, damage to
 * its files, calls that fail.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { missingServer } from '../harness/binaries.ts';
import { realImages, removeRun, tracedRun, type TracedRun } from './campaign.ts';
import { injected } from './inject.ts';
import { rotten } from './rot.ts';

/** strace may be missing, or not be allowed to trace. */
function missingTracer(): string | undefined {
  const { error, status } = spawnSync('strace', ['-o', '/dev/null', '--seccomp-bpf', '-f', 'true']);
  if (error !== undefined) return 'there is no strace';
  return status === 0 ? undefined : 'strace may not trace here';
}

const missing = missingServer() ?? missingTracer();

(missing === undefined ? describe : describe.skip)(
  `a real member's disk${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let run: TracedRun;

    beforeAll(async () => {
      run = await tracedRun(64);
    });

    afterAll(() => removeRun(run));

    test('images of its disk start with all that was acknowledged', async () => {
      const result = await realImages(run, 40, Infinity);
      expect(result.failures).toEqual([]);
      expect(result.started).toBeGreaterThan(10);
    });

    test('a damaged file is refused, or has done no harm', async () => {
      const result = await rotten(run, 3, 1, Infinity);
      expect(result.failures).toEqual([]);
      expect(result.refused).toBeGreaterThan(5);
    });

    test('calls of the disk that fail take no acknowledged write with them', async () => {
      const result = await injected(3, Infinity);
      expect(result.failures).toEqual([]);
      expect(result.hit).toBeGreaterThan(0);
    });
  },
);
