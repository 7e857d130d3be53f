import { expect, test } from '@jest/globals';

import { versionsReportProgress } from './etcd-features.ts';

test.each<[boolean, readonly string[]]>([
  [false, []],
  [false, ['']],
  [false, ['3.3.27']],
  [false, ['3.4.23']],
  [false, ['3.4.30']],
  [true, ['3.4.31']],
  [true, ['3.4.40']],
  [false, ['3.5.0']],
  [false, ['3.5.12']],
  [true, ['3.5.13']],
  [true, ['3.6.0']],
  [true, ['3.7.0-rc.0']],
  [true, ['4.0.0']],
  [false, ['3.6.1', '3.5.12']],
  [true, ['3.6.1', '3.5.21', '3.4.31']],
])('%s for %j', (wanted, versions) => {
  expect(versionsReportProgress(versions)).toBe(wanted);
});
