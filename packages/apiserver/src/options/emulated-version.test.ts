/** Versions of the command line; refusals as kube-apiserver 1.36 gave them. */

import { expect, test } from '@jest/globals';

import { spokenVersions } from './emulated-version.ts';

test.each<[string, readonly string[], readonly string[], ReturnType<typeof spokenVersions>]>([
  ['nothing said', [], [], { emulated: 36, compatible: 35 }],
  ['an older one', ['1.35'], [], { emulated: 35, compatible: 34 }],
  ['by its component', ['kube=1.34'], ['kube=1.33'], { emulated: 34, compatible: 33 }],
  ['the oldest', ['1.33'], [], { emulated: 33, compatible: 33 }],
  [
    'one too old',
    ['1.30'],
    [],
    [
      'emulation version 1.30 is not between [1.33, 1.36.0]',
      'minCompatibilityVersion version 1.33 is not between [1.33, 1.30]',
    ],
  ],
  ['no version', ['abc'], [], ['could not parse "abc" as version']],
  ['another component', ['foo=1.35'], [], ['component not registered: foo']],
  [
    'older than what is emulated',
    ['1.35'],
    ['1.36'],
    ['minCompatibilityVersion version 1.36 is not between [1.33, 1.35]'],
  ],
  ['too old beside us', [], ['1.30'], ['minCompatibilityVersion version 1.30 is not between [1.33, 1.36]']],
])('%s', (_name, emulated, compatible, want) => {
  expect(spokenVersions(emulated, compatible)).toEqual(want);
});
