import { expect, test } from '@jest/globals';
import { swapping, type Swapping } from './swap.ts';

const NONE = 'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n';
const ONE = `${NONE}/dev/sda2                               partition\t1048572\t\t0\t\t-2\n`;
const GROUP = '0::/system.slice/etcd.service\n';

test.each<[string, Readonly<Record<string, string>>, Swapping]>([
  ['not Linux', {}, 'unknown'],
  ['no swap', { '/proc/swaps': NONE }, 'impossible'],
  ['swap', { '/proc/swaps': ONE }, 'possible'],
  [
    'swap and control groups of version 1',
    { '/proc/swaps': ONE, '/proc/self/cgroup': '3:memory:/x\n' },
    'possible',
  ],
  ['swap, not limited', { '/proc/swaps': ONE, '/proc/self/cgroup': GROUP }, 'possible'],
  [
    'swap, limited to some',
    {
      '/proc/swaps': ONE,
      '/proc/self/cgroup': GROUP,
      '/sys/fs/cgroup/system.slice/etcd.service/memory.swap.max': '4096\n',
    },
    'possible',
  ],
  [
    'swap, forbidden for the service',
    {
      '/proc/swaps': ONE,
      '/proc/self/cgroup': GROUP,
      '/sys/fs/cgroup/system.slice/etcd.service/memory.swap.max': '0\n',
      '/sys/fs/cgroup/system.slice/memory.swap.max': 'max\n',
    },
    'impossible',
  ],
  [
    'swap, forbidden for all services',
    {
      '/proc/swaps': ONE,
      '/proc/self/cgroup': GROUP,
      '/sys/fs/cgroup/system.slice/etcd.service/memory.swap.max': 'max\n',
      '/sys/fs/cgroup/system.slice/memory.swap.max': '0\n',
    },
    'impossible',
  ],
  [
    'swap, forbidden in a container',
    { '/proc/swaps': ONE, '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/memory.swap.max': '0\n' },
    'impossible',
  ],
])('%s', (_name, files, want) => {
  expect(swapping((path) => files[path])).toBe(want);
});
