import { expect, test } from '@jest/globals';
import { withoutPasswords } from './told-words.ts';

test.each<[string, string[], string[]]>([
  ['nothing', [], []],
  ['no password', ['etcd', '--name', 'm1', '-data-dir=d'], ['etcd', '--name', 'm1', '-data-dir=d']],
  [
    'behind the equals sign',
    ['--discovery-password=pw', '--name=a'],
    ['--discovery-password=***', '--name=a'],
  ],
  [
    'as the next word',
    ['-discovery-password', 'pw', '--name', 'a'],
    ['-discovery-password', '***', '--name', 'a'],
  ],
  ['with the user', ['--discovery-user=root:pw'], ['--discovery-user=***']],
  ['over lines', ['--discovery-password=p\nw'], ['--discovery-password=***']],
  [
    'that looks like a flag',
    ['--discovery-password', '--discovery-user=x', 'y'],
    ['--discovery-password', '***', 'y'],
  ],
])('a command line with %s', (_name, words, told) => {
  expect(withoutPasswords(words)).toEqual(told);
});
