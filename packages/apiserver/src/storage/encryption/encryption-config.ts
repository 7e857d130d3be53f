/**
 * EncryptionConfiguration (--encryption-provider-config): which resources are encrypted how, checked as the original
 * checks it. Secrets never reach a message.
 *
 * Modelled on apiserver's apis/apiserver EncryptionConfiguration and its validation, texts included.
 */

import type { JsonObject } from '../../api/json.ts';
import type { GroupResource } from '../../api/meta.ts';
import { readConfigFile, type ConfigKind } from '../../codec/config-file.ts';
import { parseDuration } from '../../codec/times.ts';
import { FieldErrors } from '../../validation/field-errors.ts';
import { FieldPath } from '../../validation/field-path.ts';
import { countOf, has, part, parts, text, texts } from '../../validation/value.ts';
import { SECRETBOX_KEY_BYTES } from './secretbox.ts';

export interface NamedKey {
  readonly name: string;
  readonly secret: Buffer;
}

export type Provider =
  | { readonly kind: 'identity' }
  | { readonly kind: 'aescbc' | 'aesgcm' | 'secretbox'; readonly keys: readonly NamedKey[] }
  | {
      readonly kind: 'kms';
      readonly name: string;
      /** `unix:///path`. */
      readonly endpoint: string;
      readonly timeoutMs: number;
    };

export interface ResourceProviders {
  /** A resource or group of `*` means all. */
  readonly resources: readonly GroupResource[];
  /** The first one writes. */
  readonly providers: readonly Provider[];
}

/** The file and its parts; the form of the lines is schema/type-table.ts's. */
const CONFIG: ConfigKind = {
  // The second by an old mistake of the documentation.
  names: ['apiserver.config.k8s.io/v1 EncryptionConfiguration', 'v1 EncryptionConfig'],
  types: `apiserver.v1.EncryptionConfiguration	:meta.v1.TypeMeta:0	resources:[apiserver.v1.ResourceConfiguration:1
apiserver.v1.ResourceConfiguration	resources:[s:1	providers:[apiserver.v1.ProviderConfiguration:2
apiserver.v1.ProviderConfiguration	aesgcm:apiserver.v1.AESConfiguration:1*?	aescbc:apiserver.v1.AESConfiguration:2*?	secretbox:apiserver.v1.SecretboxConfiguration:3*?	identity:apiserver.v1.IdentityConfiguration:4*?	kms:apiserver.v1.KMSConfiguration:5*?
apiserver.v1.AESConfiguration	keys:[apiserver.v1.Key:1
apiserver.v1.SecretboxConfiguration	keys:[apiserver.v1.Key:1
apiserver.v1.Key	name:s:1	secret:s:2
apiserver.v1.IdentityConfiguration
apiserver.v1.KMSConfiguration	apiVersion:s:1	name:s:2	cachesize:i:3*?	endpoint:s:4	timeout:D:5*?`,
};
const KINDS = ['kms', 'aesgcm', 'aescbc', 'secretbox', 'identity'] as const;
const AES_KEY_BYTES: readonly number[] = [16, 24, 32];
const KMS_TIMEOUT_MS = 3_000;
const WITHOUT_API: ReadonlySet<string> = new Set([
  'apiserveripinfo',
  'serviceipallocations',
  'servicenodeportallocations',
]);

/**
 * @param file its text
 * @throws Error that names every field which is wrong
 */
export function readEncryptionConfig(file: string): ResourceProviders[] {
  const value = readConfigFile(file, CONFIG);
  const errors = new FieldErrors();
  const root = FieldPath.of('resources');
  const list = parts(value, 'resources');
  if (list.length === 0) errors.required(root, 'at least one resources is required');
  const kmsNames = new Set<string>();
  const found = list.map((one, index) => {
    const names = texts(one, 'resources');
    const at = root.index(index).child('resources');
    if (names.length === 0) errors.required(at, `at least one ${at.toString()} is required`);
    checkNames(errors, at, names);
    const providersAt = root.index(index).child('providers');
    const providers = parts(one, 'providers');
    if (providers.length === 0)
      errors.required(providersAt, `at least one ${providersAt.toString()} is required`);
    return {
      resources: names.map(groupResourceOf),
      providers: providers.flatMap((each, place) =>
        providerOf(errors, providersAt.index(place), each, kmsNames),
      ),
    };
  });
  if (errors.size > 0) {
    const wrong = errors.list.map(({ field, body }) => `${field}: ${body}`);
    throw new Error(wrong.length === 1 ? wrong[0] : `[${wrong.join(', ')}]`);
  }
  return found;
}

/** `deployments.apps`; what has no dot is of the core group, and so is `*.`. */
function groupResourceOf(name: string): GroupResource {
  const dot = name.indexOf('.');
  return dot < 0
    ? { group: '', resource: name }
    : { group: name.slice(dot + 1), resource: name.slice(0, dot) };
}

function checkNames(errors: FieldErrors, path: FieldPath, names: readonly string[]): void {
  const resources = names.map(groupResourceOf);
  if (new Set(names).size < names.length) {
    errors.invalid(path, names, 'the same resource cannot be specified multiple times');
  }
  const overlaps = resources.some((one, at) =>
    resources.some(
      (other, place) =>
        at !== place &&
        !(one.group === other.group && one.resource === other.resource) &&
        ((one.group === '*' && one.resource === '*') ||
          (one.group === other.group && (one.resource === '*' || other.resource === '*'))),
    ),
  );
  if (overlaps) {
    errors.invalid(
      path,
      names,
      "using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed as they will be masked",
    );
  }
  for (const [index, name] of names.entries()) {
    const why = wrongWith(name, resources[index]);
    if (why !== undefined) errors.invalid(path.index(index), name, why);
  }
}

function wrongWith(name: string, { group, resource }: GroupResource): string | undefined {
  if (name.toLowerCase() !== name) return 'resource name should not contain capital letters';
  if (name === '*') {
    return "use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources";
  }
  if (WITHOUT_API.has(name)) return 'resources which do not have REST API/s cannot be encrypted';
  if (group === 'events.k8s.io') {
    return "'*.events.k8s.io' objects are stored using the 'events' API group in etcd. Use 'events' instead in the config file";
  }
  if (group === 'extensions') {
    return "'extensions' group has been removed and cannot be used for encryption";
  }
  if (group === '*' && resource !== '*') {
    return 'encrypting the same resource across groups is not supported';
  }
  return undefined;
}

function providerOf(
  errors: FieldErrors,
  path: FieldPath,
  provider: JsonObject,
  kmsNames: Set<string>,
): Provider[] {
  // A provider without members is null in YAML, which still names it.
  const named = KINDS.filter(
    (kind) => provider[kind] !== undefined && (kind === 'identity' || provider[kind] !== null),
  );
  if (named.length !== 1) {
    errors.invalid(
      path,
      named,
      named.length === 0
        ? 'provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, Secretbox, Identity'
        : 'more than one provider specified in a single element, should split into different list elements',
    );
    return [];
  }
  const [kind] = named;
  const body = part(provider, kind);
  switch (kind) {
    case 'identity':
      return [{ kind }];
    case 'kms':
      return kmsOf(errors, path.child(kind), body, kmsNames);
    default:
      return [
        {
          kind,
          keys: keysOf(
            errors,
            path.child(kind, 'keys'),
            parts(body, 'keys'),
            kind === 'secretbox' ? [SECRETBOX_KEY_BYTES] : AES_KEY_BYTES,
          ),
        },
      ];
  }
}

function keysOf(
  errors: FieldErrors,
  path: FieldPath,
  keys: readonly JsonObject[],
  sizes: readonly number[],
): NamedKey[] {
  if (keys.length === 0) errors.required(path, 'at least one keys is required');
  return keys.flatMap((key, index) => {
    const at = path.index(index);
    const name = text(key, 'name');
    const secret = text(key, 'secret');
    if (name === '') errors.required(at.child('name'), 'name is a mandatory field for a key');
    if (secret === '') {
      errors.required(at.child('secret'), 'secret is a mandatory field for a key');
      return [];
    }
    if (!isBase64(secret)) {
      errors.invalid(at.child('secret'), 'REDACTED', 'secrets must be base64 encoded');
      return [];
    }
    const bytes = Buffer.from(secret, 'base64');
    if (!sizes.includes(bytes.length)) {
      errors.invalid(
        at.child('secret'),
        'REDACTED',
        `secret is not of the expected length, got ${bytes.length}, expected one of [${sizes.join(' ')}]`,
      );
    }
    return [{ name, secret: bytes }];
  });
}

function isBase64(secret: string): boolean {
  const plain = secret.replaceAll(/[\r\n]/g, '');
  return plain.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(plain);
}

function kmsOf(errors: FieldErrors, path: FieldPath, kms: JsonObject, names: Set<string>): Provider[] {
  const name = text(kms, 'name');
  const endpoint = text(kms, 'endpoint');
  const version = text(kms, 'apiVersion') || 'v1';
  if (name === '') errors.required(path.child('name'), 'name is a mandatory field for a provider');
  if (version !== 'v1' && name.includes(':')) {
    errors.invalid(path.child('name'), name, `invalid KMS provider name ${name}, must not contain ':'`);
  }
  if (names.has(name)) {
    errors.invalid(path.child('name'), name, `duplicate KMS provider name ${name}, names must be unique`);
  }
  names.add(name);
  const given = text(kms, 'timeout');
  const nanos = given === '' ? undefined : parseDuration(given);
  const timeoutMs = nanos === undefined ? KMS_TIMEOUT_MS : Number(nanos / 1_000_000n);
  if (timeoutMs <= 0) errors.invalid(path.child('timeout'), given, 'timeout should be a positive value');
  if (endpoint === '') {
    errors.invalid(path.child('endpoint'), '', 'endpoint is a mandatory field for a kms');
  } else {
    const scheme = /^([a-z][a-z0-9+.-]*):/.exec(endpoint)?.[1] ?? '';
    if (scheme !== 'unix') {
      errors.invalid(
        path.child('endpoint'),
        endpoint,
        `unsupported scheme ${JSON.stringify(scheme)} for KMS provider, only unix is supported`,
      );
    }
  }
  if (version === 'v2' && has(kms, 'cachesize')) {
    errors.invalid(path.child('cachesize'), countOf(kms, 'cachesize'), 'cachesize is not supported in v2');
  }
  if (version === 'v1') {
    // Off in the original too, unless a feature gate says otherwise.
    errors.forbidden(
      path.child('apiVersion'),
      'KMSv1 is deprecated and will only receive security updates going forward. Use KMSv2 instead',
    );
  } else if (version !== 'v2') {
    errors.invalid(
      path.child('apiVersion'),
      version,
      'unsupported apiVersion apiVersion for KMS provider, only v1 and v2 are supported',
    );
  }
  return [{ kind: 'kms', name, endpoint, timeoutMs }];
}
