/**
 * What of the flags' values cannot be, each by itself and against the others, in kube-apiserver's words where it has the
 * check. Files that flags name are not looked at.
 */

import { auditContradictions } from './audit-config.ts';
import { nodePortsOf, sniPair, spokenOf, AUTHORIZATION_MODES, PROTOBUF } from './flag-forms.ts';
import { parseBool, type FlagValues } from './flags.ts';
import { cipherSuitesProblem, curveOf } from './tls-names.ts';

const MEDIA_TYPES: readonly string[] = ['application/json', 'application/yaml', PROTOBUF];
const RECONCILERS: readonly string[] = ['lease', 'master-count', 'none'];

/** @returns what is wrong, one sentence each */
export function contradictions(values: FlagValues): string[] {
  const found: string[] = auditContradictions(values);
  const text = (name: string): string => values.string(name);
  const needs = (good: boolean, message: string): void => {
    if (!good) found.push(message);
  };
  needs(values.strings('etcd-servers').length > 0, '--etcd-servers must be specified');
  const backend = values.string('storage-backend');
  needs(
    backend === '' || backend === 'etcd3',
    `--storage-backend invalid, allowed values: etcd3. If not specified, it will default to 'etcd3'`,
  );
  const port = values.int('secure-port');
  needs(port >= 0 && port <= 65_535, `--secure-port ${port} must be between 0 and 65535, inclusive`);
  const pair = (cert: string, key: string, message: string): void =>
    needs((text(cert) === '') === (text(key) === ''), message);
  pair('tls-cert-file', 'tls-private-key-file', 'missing TLS cert file or key file');
  pair(
    'proxy-client-cert-file',
    'proxy-client-key-file',
    '--proxy-client-cert-file and --proxy-client-key-file must be specified together',
  );
  pair('etcd-certfile', 'etcd-keyfile', '--etcd-certfile and --etcd-keyfile must be specified together');
  const spoken = spokenOf(values);
  if (!('emulated' in spoken)) found.push(...spoken);
  needs(
    !values.bool('emulation-forward-compatible') || !('emulated' in spoken) || spoken.emulated < 36,
    'ServerRunOptions.EmulationForwardCompatible cannot be set to true if the emulation version is the same as the binary version',
  );
  for (const [name, value] of values.map('feature-gates')) {
    needs(
      name === '' || parseBool(value) !== undefined,
      value === ''
        ? `missing bool value for ${name}`
        : `invalid value of ${name}=${value}, err: strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`,
    );
  }
  needs(values.durationMs('livez-grace-period') >= 0, '--livez-grace-period can not be a negative value');
  const minimum = values.string('tls-min-version');
  needs(
    ['', 'VersionTLS12', 'VersionTLS13'].includes(minimum),
    `unknown tls version ${JSON.stringify(minimum)}`,
  );
  for (const mode of values.strings('authorization-mode')) {
    if (!AUTHORIZATION_MODES.some((known) => known === mode)) {
      found.push(`authorization-mode ${JSON.stringify(mode)} is not a valid mode`);
    }
  }
  const modes = values.strings('authorization-mode');
  found.push(...authorizationProblems(values, modes));
  needs(
    new Set(modes).size === modes.length,
    `authorization-mode [${modes.map((mode) => JSON.stringify(mode)).join(' ')}] has mode specified more than once`,
  );
  for (const issuer of values.strings('service-account-issuer')) {
    needs(
      !issuer.includes(':') || URL.canParse(issuer),
      `service-account-issuer ${JSON.stringify(issuer)} contained a ':' but was not a valid URL`,
    );
  }
  const media = text('storage-media-type');
  needs(
    MEDIA_TYPES.includes(media),
    `--storage-media-type ${JSON.stringify(media)} invalid, allowed values: ${MEDIA_TYPES.join(', ')}`,
  );
  const reconciler = text('endpoint-reconciler-type');
  needs(
    RECONCILERS.includes(reconciler),
    `--endpoint-reconciler-type invalid, allowed values: ${RECONCILERS.join(', ')}`,
  );
  const suites = cipherSuitesProblem(values.strings('tls-cipher-suites'));
  needs(suites === undefined, suites ?? '');
  const curve = values.strings('tls-curve-preferences').find((name) => curveOf(name) === undefined);
  needs(curve === undefined, `unsupported curve ID ${JSON.stringify(curve)} in --tls-curve-preferences`);
  for (const item of values.all('tls-sni-cert-key')) {
    needs(
      item === '' || sniPair(item) !== undefined,
      `invalid argument ${JSON.stringify(item)} for "--tls-sni-cert-key" flag: expected comma separated certificate and key file paths`,
    );
  }
  for (const name of ['authentication-token-webhook-version', 'authorization-webhook-version']) {
    needs(
      text(name) === 'v1' || text(name) === 'v1beta1',
      `--${name} ${JSON.stringify(text(name))} is not a version of the review: v1 or v1beta1`,
    );
  }
  const max = values.durationMs('service-account-max-token-expiration');
  needs(
    max === 0 || (max >= 3_600_000 && max <= 2 ** 32 * 1000),
    'the service-account-max-token-expiration must be between 1 hour and 2^32 seconds',
  );
  needs(
    (values.string('oidc-issuer-url') === '') === (values.string('oidc-client-id') === ''),
    'oidc-issuer-url and oidc-client-id must be specified together when any oidc-* flags are set',
  );
  needs(
    text('authentication-config') === '' || !values.given().some(({ name }) => name.startsWith('oidc-')),
    'authentication-config file and oidc-* flags are mutually exclusive',
  );
  needs(
    !values.bool('encryption-provider-config-automatic-reload') || text('encryption-provider-config') !== '',
    '--encryption-provider-config-automatic-reload must be set with --encryption-provider-config',
  );
  const ranges = values.strings('service-cluster-ip-range');
  needs(ranges.length <= 2, '--service-cluster-ip-range must not contain more than two entries');
  for (const range of ranges) {
    needs(/^[0-9a-fA-F.:]+\/\d{1,3}$/.test(range), `invalid CIDR address: ${range}`);
  }
  needs(
    nodePortsOf(values) !== undefined,
    `invalid argument ${JSON.stringify(values.string('service-node-port-range'))} for "--service-node-port-range" flag: unable to parse port range`,
  );
  const format = values.string('logging-format');
  needs(
    format === 'text' || format === 'json',
    `logging-format: Invalid value: ${JSON.stringify(format)}: Unsupported log format`,
  );
  for (const name of ['min-request-timeout', 'max-requests-inflight', 'max-mutating-requests-inflight']) {
    needs(values.int(name) >= 0, `--${name} can not be negative value`);
  }
  const [reading, mutating] = [
    values.int('max-requests-inflight'),
    values.int('max-mutating-requests-inflight'),
  ];
  needs(
    !values.bool('enable-priority-and-fairness') || reading + mutating > 0,
    `invalid configuration: MaxRequestsInFlight=${reading} and MaxMutatingRequestsInFlight=${mutating}; they must add up to something positive`,
  );
  const chance = values.float('goaway-chance');
  needs(chance >= 0 && chance <= 0.02, '--goaway-chance can not be less than 0 or greater than 0.02');
  needs(values.durationMs('request-timeout') > 0, '--request-timeout can not be negative value');
  return found;
}

function authorizationProblems(values: FlagValues, modes: readonly string[]): string[] {
  const given = values.given().map(({ name }) => name);
  const file = values.string('authorization-webhook-config-file');
  if (values.string('authorization-config') !== '') {
    return given.some((name) => name === 'authorization-mode' || name.startsWith('authorization-webhook-'))
      ? [
          '--authorization-config can not be specified when --authorization-mode or --authorization-webhook-* flags are defined',
        ]
      : [];
  }
  const problems: string[] = [];
  const abac = modes.includes('ABAC');
  const policies = values.string('authorization-policy-file');
  if (abac && policies === '')
    problems.push("authorization-mode ABAC's authorization policy file not passed");
  if (!abac && policies !== '') problems.push('cannot specify --authorization-policy-file without mode ABAC');
  const webhook = modes.includes('Webhook');
  if (webhook && file === '')
    problems.push("authorization-mode Webhook's authorization config file not passed");
  if (!webhook && file !== '') {
    problems.push('cannot specify --authorization-webhook-config-file without mode Webhook');
  }
  return problems;
}
