import { expect, test } from '@jest/globals';
import { isIP } from 'node:net';

import { addressFamily } from './certificate.ts';

test.each([
  '127.0.0.1',
  '256.0.0.1',
  '1.2.3',
  '::',
  '::1',
  'fe80::1%eth0',
  '::ffff:10.0.0.1',
  'a:b',
  'localhost',
  'kubernetes.default.svc',
  '',
  ':',
])('the family of %j is what node says', (text) => {
  expect(addressFamily(text)).toBe(isIP(text));
});
