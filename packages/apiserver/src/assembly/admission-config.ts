/**
 * The file of --admission-control-config-file: what it sets for each plugin, in the document itself or in a file that it
 * names, and the kubeconfigs by which webhooks are called. What a plugin does with its settings is the plugin's.
 *
 * Modelled on apiserver's apis/apiserver AdmissionConfiguration and the configurations of Kubernetes' plugins.
 */

import { dirname, resolve } from 'node:path';

import { toError } from '@keelson/base';

import { fieldsOf, listOf, textOf, textsOf } from '../api/fields.ts';
import { isJsonObject, type JsonObject } from '../api/json.ts';
import type {
  EventLimit,
  ImagePolicySettings,
  LimitedResource,
  PluginSettings,
} from '../admission/plugin-context.ts';
import {
  configNames,
  readConfigFile,
  strictError,
  unknownFields,
  type ConfigKind,
} from '../codec/config-file.ts';
import { readYaml } from '../codec/yaml.ts';
import type { ServerConfig } from '../options/config.ts';
import type { ProgramRunner } from '../outbound/exec-credentials.ts';
import type { Kubeconfig, KubeconfigWorld } from '../outbound/kubeconfig.ts';
import { readKubeconfig, reviewCaller, type ReviewCallerOptions } from './review-caller.ts';

type Fields = Readonly<Record<string, unknown>>;
type ReadFile = (path: string) => string;

export interface AdmissionFile {
  readonly settings: PluginSettings;
  /** Whose credentials webhooks are shown, where the file says it. */
  readonly webhooks: { readonly mutating?: Kubeconfig; readonly validating?: Kubeconfig };
}

export interface AdmissionFileParts extends Omit<ReviewCallerOptions, 'timeoutMs'> {
  readonly config: Pick<
    ServerConfig,
    'admissionFile' | 'notReadyTolerationSeconds' | 'unreachableTolerationSeconds'
  >;
  readonly readFile: ReadFile;
  readonly programs: ProgramRunner;
}

/** What a plugin is configured by: its document, and where files that it names are looked for. */
interface PluginDocument {
  readonly value: JsonObject;
  /** Keys that stand there twice. */
  readonly strict: readonly string[];
  readonly path: string;
}

/** The file and its parts; the form of the lines is schema/type-table.ts's. */
const CONFIG: ConfigKind = {
  names: [
    'apiserver.k8s.io/v1alpha1 AdmissionConfiguration',
    ...configNames('AdmissionConfiguration', ['v1', 'v1alpha1']),
  ],
  types: `apiserver.v1.AdmissionConfiguration	:meta.v1.TypeMeta:0	plugins:[apiserver.v1.AdmissionPluginConfiguration:1
apiserver.v1.AdmissionPluginConfiguration	name:s:1	path:s:2	configuration:R:3*~go=runtime.Unknown`,
};
const POD_SECURITY = `api.v1.PodSecurityConfiguration	:meta.v1.TypeMeta:0	defaults:api.v1.PodSecurityDefaults:1	exemptions:api.v1.PodSecurityExemptions:2
api.v1.PodSecurityDefaults	enforce:s:1?	enforce-version:s:2?	audit:s:3?	audit-version:s:4?	warn:s:5?	warn-version:s:6?
api.v1.PodSecurityExemptions	usernames:[s:1?	namespaces:[s:2?	runtimeClasses:[s:3?`;
const RESOURCE_QUOTA = `resourcequota.v1.Configuration	:meta.v1.TypeMeta:0	limitedResources:[resourcequota.v1.LimitedResource:1
resourcequota.v1.LimitedResource	apiGroup:s:1?	resource:s:2	matchContains:[s:3?	matchScopes:[core.v1.ScopedResourceSelectorRequirement:4?
core.v1.ScopedResourceSelectorRequirement	scopeName:s:1~go=v1.ResourceQuotaScope	operator:s:2~go=v1.ScopeSelectorOperator	values:[s:3?`;
const WEBHOOKS = `webhookadmission.v1.WebhookAdmission	:meta.v1.TypeMeta:0	kubeConfigFile:s:1	staticManifestsDir:s:2?`;
/** The original's client of the image policy's server has none; a pod is not to wait longer. */
const IMAGE_POLICY_TIMEOUT_MS = 30_000;
const EVENT_LIMITS: readonly EventLimit['type'][] = ['Server', 'Namespace', 'User', 'SourceAndObject'];
const LEVELS: readonly string[] = ['privileged', 'baseline', 'restricted'];

/** Settings of flags and of the file. @throws Error naming the file, the plugin and what is wrong */
export function admissionSettings(parts: AdmissionFileParts): AdmissionFile {
  const { config, readFile } = parts;
  const { notReadyTolerationSeconds, unreachableTolerationSeconds, admissionFile } = config;
  const flags = { notReadyTolerationSeconds, unreachableTolerationSeconds };
  if (admissionFile === '') return { settings: flags, webhooks: {} };
  const documents = pluginDocuments(admissionFile, readFile);
  const read = <T>(name: string, of: (document: PluginDocument) => T): T | undefined => {
    const document = documents.get(name);
    if (document === undefined) return undefined;
    try {
      return of(document);
    } catch (error) {
      throw new Error(
        `couldn't init admission plugin ${JSON.stringify(name)}: ${error instanceof Error ? error.message : String(error)}`,
        { cause: error },
      );
    }
  };
  const kubeconfig = (document: PluginDocument): Kubeconfig | undefined => webhookKubeconfig(document, parts);
  const mutating = read('MutatingAdmissionWebhook', kubeconfig);
  const validating = read('ValidatingAdmissionWebhook', kubeconfig);
  return {
    settings: defined({
      ...flags,
      podSecurity: read('PodSecurity', podSecuritySettings),
      limitedResources: read('ResourceQuota', limitedResources),
      nodeSelectors: read('PodNodeSelector', nodeSelectors),
      tolerations: read('PodTolerationRestriction', tolerationSettings),
      eventLimits: read('EventRateLimit', eventLimits),
      imagePolicy: read('ImagePolicyWebhook', (document) => imagePolicy(document, parts)),
    }),
    webhooks: defined({ mutating, validating }),
  };
}

/** @throws Error for what is no AdmissionConfiguration */
function pluginDocuments(file: string, readFile: ReadFile): Map<string, PluginDocument> {
  const problem = (text: string, cause?: unknown): Error =>
    new Error(`failed to read plugin config: ${text}`, { cause });
  let config: JsonObject;
  try {
    config = readConfigFile(readFile(file), CONFIG);
  } catch (error) {
    throw problem(toError(error).message, error);
  }
  const found = new Map<string, PluginDocument>();
  for (const entry of listOf(config['plugins'])) {
    const { name, path, configuration } = fieldsOf(entry);
    const plugin = textOf(name);
    if (found.has(plugin)) throw problem(`plugin ${JSON.stringify(plugin)} is configured twice`);
    if (isJson(configuration)) found.set(plugin, { value: configuration, strict: [], path: file });
    else if (textOf(path) !== '') {
      const own = resolve(dirname(resolve(file)), textOf(path));
      const strict: string[] = [];
      const value = readYaml(readFile(own), { duplicates: (message) => strict.push(message) });
      found.set(plugin, { value: isJson(value) ? value : {}, strict, path: own });
    }
  }
  return found;
}

/** @throws ConfigFileError for what is not the type's: the configurations that the original reads strictly */
function checkFields({ value, strict }: PluginDocument, types: string): void {
  const told = [...strict, ...unknownFields(value, types)];
  if (told.length > 0) throw strictError(told);
}

function podSecuritySettings(document: PluginDocument): NonNullable<PluginSettings['podSecurity']> {
  const { value } = document;
  expectKind(value, 'PodSecurityConfiguration', /^pod-security\.admission\.config\.k8s\.io\//);
  checkFields(document, POD_SECURITY);
  const given = fieldsOf(value['defaults']);
  const defaults: Record<string, string> = {};
  for (const mode of ['enforce', 'audit', 'warn']) {
    const level = textOf(given[mode]);
    if (level !== '' && !LEVELS.includes(level)) {
      throw new Error(
        `defaults.${mode}: Invalid value: ${JSON.stringify(level)}: must be one of ${LEVELS.join(', ')}`,
      );
    }
    const version = textOf(given[`${mode}-version`]);
    if (version !== '' && !/^(latest|v1\.(0|[1-9]\d*))$/.test(version)) {
      throw new Error(
        `defaults.${mode}-version: Invalid value: ${JSON.stringify(version)}: must be "latest" or "v1.x"`,
      );
    }
    if (level !== '') defaults[mode] = level;
    if (version !== '') defaults[`${mode}-version`] = version;
  }
  const { usernames, namespaces, runtimeClasses } = fieldsOf(value['exemptions']);
  return {
    defaults,
    exemptions: {
      usernames: textsOf(usernames),
      namespaces: textsOf(namespaces),
      runtimeClasses: textsOf(runtimeClasses),
    },
  };
}

function limitedResources(document: PluginDocument): LimitedResource[] {
  const { value } = document;
  expectKind(
    value,
    /^(ResourceQuota)?Configuration$/,
    /^(resourcequota\.admission|apiserver\.config)\.k8s\.io\//,
  );
  checkFields(document, RESOURCE_QUOTA);
  return listOf(value['limitedResources']).map((entry, index) => {
    const { apiGroup, resource, matchContains, matchScopes } = fieldsOf(entry);
    if (textOf(resource) === '') throw new Error(`limitedResources[${index}].resource: Required value`);
    return {
      ...(textOf(apiGroup) === '' ? {} : { apiGroup: textOf(apiGroup) }),
      resource: textOf(resource),
      matchContains: textsOf(matchContains),
      matchScopes: objectsOf(matchScopes),
    };
  });
}

function nodeSelectors({ value }: PluginDocument): Record<string, string> {
  const given = fieldsOf(value['podNodeSelectorPluginConfig']);
  return Object.fromEntries(Object.entries(given).map(([name, selector]) => [name, textOf(selector)]));
}

function tolerationSettings({ value }: PluginDocument): NonNullable<PluginSettings['tolerations']> {
  expectKind(value, 'Configuration', /^podtolerationrestriction\.admission\.k8s\.io\//);
  return defined({
    default: value['default'] === undefined ? undefined : objectsOf(value['default']),
    whitelist: value['whitelist'] === undefined ? undefined : objectsOf(value['whitelist']),
  });
}

function eventLimits({ value }: PluginDocument): EventLimit[] {
  expectKind(value, 'Configuration', /^eventratelimit\.admission\.k8s\.io\//);
  const limits = listOf(value['limits']);
  if (limits.length === 0) throw new Error('limits: Invalid value: []: must not be empty');
  return limits.map((entry, index) => {
    const { type, qps, burst, cacheSize } = fieldsOf(entry);
    const known = EVENT_LIMITS.find((name) => name === type);
    if (known === undefined) {
      throw new Error(
        `limits[${index}].type: Unsupported value: ${JSON.stringify(textOf(type))}: supported values: ${EVENT_LIMITS.map((name) => JSON.stringify(name)).join(', ')}`,
      );
    }
    const size = cacheSize === undefined ? 0 : count(cacheSize, `limits[${index}].cacheSize`);
    return {
      type: known,
      qps: positive(qps, `limits[${index}].qps`),
      burst: positive(burst, `limits[${index}].burst`),
      ...(size === 0 ? {} : { cacheSize: size }),
    };
  });
}

/** Seconds, as the original bounds them: absent is the default, a value out of bounds is refused. */
function ttl(value: unknown, absent: number, max: number, name: string): number {
  const seconds = value === undefined ? 0 : count(value, name);
  if (seconds === 0) return absent;
  if (seconds < 1 || seconds > max) {
    throw new Error(`valid value is between 1 and ${max}, got ${seconds} for ${name}`);
  }
  return seconds;
}

const ALLOW_TTL = { absent: 300, max: 1_800 };
const DENY_TTL = { absent: 30, max: 1_800 };

function imagePolicy({ value, path }: PluginDocument, parts: AdmissionFileParts): ImagePolicySettings {
  const policy = fieldsOf(value['imagePolicy']);
  const file = textOf(policy['kubeConfigFile']);
  if (file === '') throw new Error('imagePolicy.kubeConfigFile: Required value');
  const server = readKubeconfig(resolve(dirname(resolve(path)), file), parts).current();
  return {
    review: (review, signal) =>
      reviewCaller(server, {
        ...parts,
        timeoutMs: IMAGE_POLICY_TIMEOUT_MS,
        signal: AbortSignal.any([signal, parts.signal]),
      })(review),
    allowTtlSeconds: ttl(policy['allowTTL'], ALLOW_TTL.absent, ALLOW_TTL.max, 'allowTTL'),
    denyTtlSeconds: ttl(policy['denyTTL'], DENY_TTL.absent, DENY_TTL.max, 'denyTTL'),
    defaultAllow: policy['defaultAllow'] === true,
  };
}

function webhookKubeconfig(document: PluginDocument, world: KubeconfigWorld): Kubeconfig | undefined {
  const { value, path } = document;
  expectKind(value, /^WebhookAdmission(Configuration)?$/, /^apiserver\.config\.k8s\.io\//);
  checkFields(document, WEBHOOKS);
  const file = textOf(value['kubeConfigFile']);
  if (file === '') return undefined;
  const found = readKubeconfig(resolve(dirname(resolve(path)), file), world);
  found.checkUsers();
  return found;
}

function expectKind(value: Fields, kind: string | RegExp, version: RegExp): void {
  const [foundKind, foundVersion] = [textOf(value['kind']), textOf(value['apiVersion'])];
  const good = typeof kind === 'string' ? foundKind === kind : kind.test(foundKind);
  if (!good || !version.test(foundVersion)) {
    throw new Error(
      `no kind ${JSON.stringify(foundKind)} is registered for version ${JSON.stringify(foundVersion)}`,
    );
  }
}

function objectsOf(value: unknown): JsonObject[] {
  return listOf(value).filter(isJson);
}

function isJson(value: unknown): value is JsonObject {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what was read from YAML is JSON
  return isJsonObject(value as JsonObject);
}

function count(value: unknown, name: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  throw new Error(`${name}: Invalid value: must be a whole number`);
}

function positive(value: unknown, name: string): number {
  const number = count(value ?? 0, name);
  if (number <= 0) throw new Error(`${name}: Invalid value: ${number}: must be positive`);
  return number;
}

type Defined<T> = { [K in keyof T]?: NonNullable<T[K]> };

/** Without the members that are undefined. */
function defined<T extends object>(value: T): Defined<T> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what is left is what was there
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as Defined<T>;
}
