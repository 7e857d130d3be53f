import { expect, test } from '@jest/globals';
import { parseFlags } from '../flags.ts';
import { GRPC_PROXY_FLAGS, configOf, type GrpcProxyConfig } from './flags.ts';

function read(...argv: string[]): GrpcProxyConfig | string {
  const values = parseFlags(GRPC_PROXY_FLAGS, argv);
  if (values === 'help') throw new Error('help was asked for');
  return configOf(values);
}

test('defaults are etcd’s', () => {
  expect(read()).toMatchObject({
    listenAddr: '127.0.0.1:23790',
    advertiseClientUrl: '127.0.0.1:23790',
    endpoints: ['127.0.0.1:2379'],
    dataDir: 'default.proxy',
    sendBytesMax: 1_572_864,
    receiveBytesMax: 2_147_483_647,
    keepaliveMinTimeMs: 5_000,
    keepaliveIntervalMs: 7_200_000,
    keepaliveTimeoutMs: 20_000,
    dialKeepaliveTimeMs: 0,
    streamsMax: 4_294_967_295,
    tlsMinVersion: 'TLS1.2',
    tlsMaxVersion: '',
  });
});

test.each([
  [['--resolver-prefix=p'], 'invalid resolver-ttl 0'],
  [['--resolver-ttl=5'], 'invalid resolver-prefix ""'],
  [['--resolver-prefix=p', '--resolver-ttl=5', '--advertise-client-url='], 'invalid advertise-client-url ""'],
  [
    ['--auto-tls', '--self-signed-cert-validity=0'],
    'selfSignedCertValidity is invalid,it should be greater than 0',
  ],
  [
    ['--tls-min-version=1'],
    'tls-min-version is invalid: unexpected TLS version "1" (must be one of: TLS1.2, TLS1.3)',
  ],
  [
    ['--tls-min-version=TLS1.3', '--tls-max-version=TLS1.2'],
    'min version (TLS1.3) is greater than max version (TLS1.2)',
  ],
  [
    ['--tls-min-version=TLS1.3', '--listen-cipher-suites=TLS_RSA_WITH_AES_128_CBC_SHA'],
    'cipher suites cannot be configured when only TLS1.3 is enabled',
  ],
  [
    ['--experimental-leasing-prefix=l'],
    'this build does not serve --experimental-leasing-prefix: start without (leasing repeats writes whose outcome is unknown)',
  ],
])('%j is refused: %s', (argv, problem) => {
  expect(read(...argv)).toBe(problem);
});
