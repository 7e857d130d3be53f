/** A command line of kube-apiserver: what it comes to, what it is refused with, what is only told. */
import { describe, expect, test } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseConfig, type Parsed } from './command-line.ts';
import type { ServerConfig } from './config.ts';
import { FLAG_GROUPS } from './flag-table-more.ts';

const ETCD = '--etcd-servers=http://127.0.0.1:2379';
const parse = (...argv: string[]): Parsed => parseConfig(argv, 'kube-apiserver');

function config(...argv: string[]): ServerConfig {
  const parsed = parse(ETCD, ...argv);
  if (parsed.kind !== 'config') throw new Error(JSON.stringify(parsed));
  return parsed.config;
}

test('without flags, the defaults of the original', () => {
  expect(config()).toMatchObject({
    etcd: {
      servers: ['http://127.0.0.1:2379'],
      prefix: '/registry',
      compactionIntervalMs: 300_000,
      leaseReuseSeconds: 60,
      sizeIntervalMs: 30_000,
    },
    kubelets: { dialMs: 5_000 },
    disabledMetrics: [],
    watchCache: true,
    bindAddress: '0.0.0.0',
    securePort: 6443,
    certDir: '/var/run/kubernetes',
    anonymous: true,
    authorizationModes: ['AlwaysAllow'],
    readingMax: 400,
    mutatingMax: 200,
    requestTimeoutMs: 60_000,
    goawayChance: 0,
    sharesPort: false,
    minRequestSeconds: 1800,
    eventTtlSeconds: 3600,
    serviceNetworks: ['10.0.0.0/24'],
    nodePorts: { first: 30_000, last: 32_767 },
    tlsMinVersion: 'TLSv1.2',
    requestHeader: undefined,
    oidc: undefined,
  });
});

test('lists are told at once or one after the other, the last of what is one value counts', () => {
  const found = config(
    '--etcd-servers',
    'http://a:1,http://b:2',
    '--authorization-mode=Node',
    '--authorization-mode=RBAC',
    '--secure-port=1',
    '--secure-port=2',
    '--watch-cache-sizes=secrets#0,pods#100',
    '--service-node-port-range=100+50',
    '--event-ttl=90m',
  );
  expect(found.etcd.servers).toEqual(['http://127.0.0.1:2379', 'http://a:1', 'http://b:2']);
  expect(found.authorizationModes).toEqual(['Node', 'RBAC']);
  expect(found.securePort).toBe(2);
  expect([...found.uncached]).toEqual(['secrets']);
  expect(found.nodePorts).toEqual({ first: 100, last: 150 });
  expect(found.eventTtlSeconds).toBe(5400);
});

test('an OpenID provider, a front proxy', () => {
  const found = config(
    '--oidc-issuer-url=https://id.example',
    '--oidc-client-id=kube',
    '--oidc-required-claim=hd=example.com',
    '--requestheader-client-ca-file=proxy.crt',
    '--requestheader-username-headers=X-Remote-User',
  );
  expect(found.oidc).toMatchObject({
    issuer: 'https://id.example',
    usernameClaim: 'sub',
    algorithms: ['RS256'],
  });
  expect(found.oidc?.requiredClaims).toEqual(new Map([['hd', 'example.com']]));
  expect(found.requestHeader).toMatchObject({ caFile: 'proxy.crt', usernameHeaders: ['X-Remote-User'] });
});

test('webhooks, further certificates, forms in the store', () => {
  const found = config(
    '--authentication-token-webhook-config-file=tokens.conf',
    '--authentication-token-webhook-version=v1',
    '--authorization-mode=Webhook',
    '--authorization-webhook-config-file=access.conf',
    '--authorization-webhook-cache-authorized-ttl=10s',
    '--tls-sni-cert-key=a.crt,a.key:a.example,*.b.example',
    '--tls-sni-cert-key',
    'c.crt,c.key',
    '--storage-media-type=application/json',
    '--endpoint-reconciler-type=none',
    '--default-not-ready-toleration-seconds=7',
  );
  expect(found).toMatchObject({
    tokenWebhook: { file: 'tokens.conf', version: 'v1', ttlMs: 120_000 },
    authorizationModes: ['Webhook'],
    authorizationWebhook: {
      file: 'access.conf',
      version: 'v1beta1',
      authorizedTtlMs: 10_000,
      unauthorizedTtlMs: 30_000,
    },
    sniPairs: [
      { certFile: 'a.crt', keyFile: 'a.key', names: ['a.example', '*.b.example'] },
      { certFile: 'c.crt', keyFile: 'c.key', names: [] },
    ],
    storageMediaType: 'json',
    keepsEndpoints: false,
    notReadyTolerationSeconds: 7,
    unreachableTolerationSeconds: 300,
  });
  expect(config('--authorization-config=x')).toMatchObject({
    authorizationModes: [],
    authorizationFile: 'x',
  });
});

describe('refusals', () => {
  test.each<[string[], Parsed['kind'], string]>([
    [['--bogus'], 'invalid', 'unknown flag: --bogus'],
    [['-x'], 'invalid', "unknown shorthand flag: 'x' in -x"],
    [['--secure-port'], 'invalid', 'flag needs an argument: --secure-port'],
    [
      ['--secure-port=y'],
      'invalid',
      'invalid argument "y" for "--secure-port" flag: strconv.ParseInt: parsing "y": invalid syntax',
    ],
    [
      ['--anonymous-auth=maybe'],
      'invalid',
      'invalid argument "maybe" for "--anonymous-auth" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
    ],
    [
      ['--request-timeout=1'],
      'invalid',
      'invalid argument "1" for "--request-timeout" flag: time: invalid duration "1"',
    ],
    [
      ['--bind-address=x'],
      'invalid',
      'invalid argument "x" for "--bind-address" flag: failed to parse IP: "x"',
    ],
    [
      ['--advertise-address=fe80::1%lo'],
      'invalid',
      'invalid argument "fe80::1%lo" for "--advertise-address" flag: failed to parse IP: "fe80::1%lo"',
    ],
    [['run', ETCD], 'invalid', '"kube-apiserver" does not take any arguments, got ["run"]'],
    [[], 'invalid', '--etcd-servers must be specified'],
    [
      [ETCD, '--authorization-mode=Nobody,RBAC'],
      'invalid',
      'authorization-mode "Nobody" is not a valid mode',
    ],
    [
      [ETCD, '--authorization-mode=RBAC,RBAC'],
      'invalid',
      'authorization-mode ["RBAC" "RBAC"] has mode specified more than once',
    ],
    [
      [ETCD, '--authorization-mode=ABAC', '--secure-port=70000'],
      'invalid',
      "[--secure-port 70000 must be between 0 and 65535, inclusive, authorization-mode ABAC's authorization policy file not passed]",
    ],
    [
      [ETCD, '--authorization-policy-file=x'],
      'invalid',
      'cannot specify --authorization-policy-file without mode ABAC',
    ],
    [
      [ETCD, '--encryption-provider-config-automatic-reload'],
      'invalid',
      '--encryption-provider-config-automatic-reload must be set with --encryption-provider-config',
    ],
    [
      [ETCD, '--audit-log-path=-', '--audit-log-mode=often'],
      'invalid',
      'invalid audit log mode often, allowed modes are "batch,blocking,blocking-strict"',
    ],
    [
      [ETCD, '--authorization-mode=Webhook'],
      'invalid',
      "authorization-mode Webhook's authorization config file not passed",
    ],
    [
      [ETCD, '--authorization-webhook-config-file=x'],
      'invalid',
      'cannot specify --authorization-webhook-config-file without mode Webhook',
    ],
    [
      [ETCD, '--authorization-config=x', '--authorization-mode=RBAC'],
      'invalid',
      '--authorization-config can not be specified when --authorization-mode or --authorization-webhook-* flags are defined',
    ],
    [
      [ETCD, '--tls-cipher-suites=TLS_NONE'],
      'invalid',
      "Cipher suite TLS_NONE not supported or doesn't exist",
    ],
    [
      [ETCD, '--tls-sni-cert-key=only-one'],
      'invalid',
      'invalid argument "only-one" for "--tls-sni-cert-key" flag: expected comma separated certificate and key file paths',
    ],
    [
      [ETCD, '--endpoint-reconciler-type=some'],
      'invalid',
      '--endpoint-reconciler-type invalid, allowed values: lease, master-count, none',
    ],
    [
      [ETCD, '--storage-media-type=text/plain'],
      'invalid',
      '--storage-media-type "text/plain" invalid, allowed values: application/json, application/yaml, application/vnd.kubernetes.protobuf',
    ],
    [[ETCD, '--tls-cert-file=x'], 'invalid', 'missing TLS cert file or key file'],
    [
      [ETCD, '--authentication-config=x', '--oidc-issuer-url=https://a', '--oidc-client-id=b'],
      'invalid',
      'authentication-config file and oidc-* flags are mutually exclusive',
    ],
    [[ETCD, '--service-cluster-ip-range=10.0.0.1'], 'invalid', 'invalid CIDR address: 10.0.0.1'],
    [
      [ETCD, '--goaway-chance=0.03'],
      'invalid',
      '--goaway-chance can not be less than 0 or greater than 0.02',
    ],
    [
      [ETCD, '--storage-backend=etcd2'],
      'invalid',
      `--storage-backend invalid, allowed values: etcd3. If not specified, it will default to 'etcd3'`,
    ],
    [[ETCD, '--feature-gates=AllAlpha'], 'invalid', 'missing bool value for AllAlpha'],
    [
      [ETCD, '--feature-gates=AllAlpha=yes'],
      'invalid',
      'invalid value of AllAlpha=yes, err: strconv.ParseBool: parsing "yes": invalid syntax',
    ],
  ])('%j', (argv, kind, message) => {
    expect(parseConfig(argv, 'kube-apiserver')).toEqual({ kind, message });
  });

  test('a switch that says no asks for nothing', () => {
    expect(parse(ETCD, '--encryption-provider-config-automatic-reload=false').kind).toBe('config');
  });
});

test('what has no effect is told, one line each', () => {
  const parsed = parse(ETCD, '--contention-profiling', '--vmodule', 'a=4', '--feature-gates=A=true,B=false');
  expect(parsed.kind === 'config' && parsed.warnings).toEqual([
    '--contention-profiling has no effect in this build',
    '--vmodule has no effect in this build',
    '--feature-gates has no effect in this build on A, B',
  ]);
});

test('gates say true and false in all the words that Go reads', () => {
  const parsed = parse(
    ETCD,
    '--feature-gates=AllAlpha=1,A=t,B=T,C=True,D=TRUE,kube:E=true',
    '--feature-gates=F=0',
  );
  if (parsed.kind !== 'config') throw new Error(parsed.kind);
  expect([...parsed.config.featureGates].filter(([, on]) => on).map(([name]) => name)).toEqual([
    'AllAlpha',
    'A',
    'B',
    'C',
    'D',
    'E',
  ]);
  expect(parsed.config.featureGates.get('F')).toBe(false);
});

test('help names every flag once, and no port without TLS', () => {
  const parsed = parse('--help', '-v', '2');
  if (parsed.kind !== 'help') throw new Error(parsed.kind);
  const names = FLAG_GROUPS.flatMap(({ flags }) => flags.map(({ name }) => name));
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(parsed.text).toMatch(new RegExp(`--${name}( \\w+)?\\n`));
  expect(parsed.text).not.toContain('insecure-port');
  expect(parse('--version')).toEqual({ kind: 'version' });
});

const PAGE = resolve(import.meta.dirname, '../../../../../shared/kubernetes/apiserver-flags.md');
const named = existsSync(PAGE) ? test : test.skip;
named('every flag that is written down is known (skipped without ../shared)', () => {
  const page = readFileSync(PAGE, 'utf8').split('These act from the first version')[0];
  const known = new Set(FLAG_GROUPS.flatMap(({ flags }) => flags.map(({ name }) => name)));
  const written = [...page.matchAll(/--([a-z][a-z0-9-]*)`/g)].map((match) => match[1]);
  const help = written.filter((name) => name !== 'help' && !name.endsWith('-'));
  expect(help.filter((name) => !known.has(name))).toEqual([]);
  expect(help.length).toBeGreaterThan(150);
});
