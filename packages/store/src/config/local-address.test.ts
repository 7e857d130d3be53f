import { expect, test } from '@jest/globals';
import { defaultFeatureGates, setFeatureGates } from './feature-gates.ts';
import { memberLocalAddress } from './local-address.ts';
import { parseUniqueUrls } from './urls.ts';

function chosen(gates: string, texts: string): string | undefined {
  const urls = parseUniqueUrls(texts);
  const featureGates = setFeatureGates(defaultFeatureGates(), gates);
  if (!urls.ok || !featureGates.ok) throw new Error('not to be read');
  return memberLocalAddress({ featureGates: featureGates.value, initialAdvertisePeerUrls: urls.value });
}

test.each<[string, string | undefined]>([
  ['http://10.0.0.7:2380', '10.0.0.7'],
  ['http://127.0.0.1:2380', undefined],
  ['http://0.0.0.0:2380', undefined],
  ['http://[::1]:2380', undefined],
  ['http://[fd00::7]:2380', 'fd00::7'],
  ['http://m1.example.com:2380', undefined],
  ['http://127.0.0.2:2380,http://192.168.1.9:2380', '192.168.1.9'],
])('dialling from %s', (urls, want) => {
  expect(chosen('SetMemberLocalAddr=true', urls)).toBe(want);
  expect(chosen('', urls)).toBeUndefined();
});
