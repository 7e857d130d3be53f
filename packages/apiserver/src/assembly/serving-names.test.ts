/** Where a server says that it is. */

import { expect, test } from '@jest/globals';

import { parseConfig } from '../options/command-line.ts';
import { externalAddress } from './serving-names.ts';

const machine = { hostname: 'here', addresses: ['192.0.2.7'] };

test.each<[string[], string]>([
  [[], '192.0.2.7:6443'],
  [['--advertise-address=2001:db8::1'], '[2001:db8::1]:6443'],
  [['--external-hostname=api.example.com'], 'api.example.com:6443'],
  [['--external-hostname=api.example.com:443'], 'api.example.com:443'],
  [['--external-hostname=2001:db8::2'], '[2001:db8::2]:6443'],
  [['--external-hostname=[2001:db8::2]:443'], '[2001:db8::2]:443'],
])('with %j: %s', (flags, address) => {
  const parsed = parseConfig(['--etcd-servers=http://127.0.0.1:2379', ...flags], 'kube-apiserver');
  if (parsed.kind !== 'config') throw new Error(parsed.kind);
  expect(externalAddress(parsed.config, machine, 6443)).toBe(address);
});
