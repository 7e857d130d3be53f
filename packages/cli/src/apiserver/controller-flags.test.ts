import { describe, expect, test } from '@jest/globals';
import { takeControllerFlags } from './controller-flags.ts';

test.each<[string[], string[], string[]]>([
  [['--etcd-servers=x'], [], ['--etcd-servers=x']],
  [['--controllers=*', '-v', '2'], ['*'], ['-v', '2']],
  [['--controllers', 'a,-b', '--controllers=c,'], ['a', '-b', 'c'], []],
  [['--controllers=', '--x'], [], ['--x']],
  [['--leader-elect', '--x', '--', '--controllers=*'], [], ['--x', '--', '--controllers=*']],
])('%j', (argv, controllers, rest) => {
  const taken = takeControllerFlags(argv);
  expect({ controllers: taken.settings.controllers, rest: taken.rest }).toEqual({ controllers, rest });
});

describe('leader election', () => {
  test('is on, as the original has it, unless it is switched off', () => {
    expect(takeControllerFlags([]).settings.leaderElection).toEqual({
      leaseMs: 15_000,
      renewMs: 10_000,
      retryMs: 2_000,
      name: 'kube-controller-manager',
      namespace: 'kube-system',
    });
    expect(takeControllerFlags(['--leader-elect=false']).settings.leaderElection).toBeUndefined();
  });

  test('by other figures', () => {
    const { settings } = takeControllerFlags([
      '--leader-elect-lease-duration=3s',
      '--leader-elect-renew-deadline',
      '2s',
      '--leader-elect-retry-period=500ms',
      '--leader-elect-resource-name=mine',
    ]);
    expect(settings.leaderElection).toMatchObject({
      leaseMs: 3_000,
      renewMs: 2_000,
      retryMs: 500,
      name: 'mine',
    });
  });
});

test('files of signers: one pair for all, or one for each that is to sign', () => {
  const files = (...argv: string[]): unknown => takeControllerFlags(argv).settings.signing.files;
  expect(files()).toBeUndefined();
  expect(files('--cluster-signing-cert-file=c', '--cluster-signing-key-file=k')).toEqual({
    certFile: 'c',
    keyFile: 'k',
  });
  expect(
    files('--cluster-signing-kubelet-client-cert-file=c', '--cluster-signing-kubelet-client-key-file=k'),
  ).toEqual({ 'kubelet-client': { certFile: 'c', keyFile: 'k' } });
});

test.each<[string[], string]>([
  [['--controllers'], 'flag needs an argument: --controllers'],
  [['--leader-elect=maybe'], 'invalid argument "maybe" for "--leader-elect" flag'],
  [['--leader-elect-renew-deadline=15s'], 'LeaseDuration must be greater than RenewDeadline'],
  [['--leader-elect-retry-period=9s'], 'RenewDeadline must be greater than RetryPeriod*JitterFactor'],
  [['--leader-elect-resource-lock=endpoints'], 'resourceLock value must be "leases"'],
  [['--cluster-signing-cert-file=c'], 'go together'],
  [
    [
      '--cluster-signing-cert-file=c',
      '--cluster-signing-key-file=k',
      '--cluster-signing-legacy-unknown-cert-file=c',
      '--cluster-signing-legacy-unknown-key-file=k',
    ],
    'cannot specify --cluster-signing-{cert,key}-file and other',
  ],
])('%j is refused', (argv, message) => {
  expect(() => takeControllerFlags(argv)).toThrow(message);
});
