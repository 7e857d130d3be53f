/**
 * The form of the admission cases in testdata/admission, and how one is run: a cluster, a request, and what the plugin
 * makes of it. Each file names the upstream table or rule it follows.
 */

import { readdirSync, readFileSync } from 'node:fs';

import { mutates, validates, type Operation } from '../src/admission/admission.ts';
import { defaultPlugins, PLUGIN_NAMES } from '../src/admission/default-plugins.ts';
import type { PluginSettings } from '../src/admission/plugin-context.ts';
import type { Json } from '../src/api/json.ts';
import type { KubeObject } from '../src/api/meta.ts';
import { ApiError } from '../src/api/status.ts';
import { readYaml } from '../src/codec/yaml.ts';
import { allowing, attributesFor, Cluster, pluginContext } from './admission-cluster.ts';

export interface AdmissionCase {
  readonly name: string;
  /** Added to the file's. */
  readonly cluster?: readonly KubeObject[];
  readonly settings?: PluginSettings;
  /** What authorization allows, see allowing(). */
  readonly allowed?: readonly string[];
  readonly operation?: Operation;
  readonly object?: KubeObject;
  readonly old?: KubeObject;
  readonly resource?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly subresource?: string;
  readonly namespace?: string;
  readonly objectName?: string;
  readonly user?: string;
  readonly groups?: readonly string[];
  readonly dryRun?: boolean;
  /** The Status the request is refused with; absent: it is let in. */
  readonly refused?: {
    readonly code?: number;
    readonly reason?: string;
    readonly message: string;
    readonly causes?: Json;
  };
  /** What the object has afterwards: each member that is named, null for one that is not there. */
  readonly after?: Json;
  readonly warnings?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface AdmissionCases {
  readonly plugin: string;
  /** The upstream table or rule. */
  readonly source: string;
  readonly cluster?: readonly KubeObject[];
  readonly cases: readonly AdmissionCase[];
}

const FOLDER = new URL('./testdata/admission/', import.meta.url);

export function readAdmissionCases(): AdmissionCases[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.yaml'))
    .toSorted()
    .map((file) => {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the data's form is the interface above
      return readYaml(readFileSync(new URL(file, FOLDER), 'utf8')) as unknown as AdmissionCases;
    });
}

export interface Outcome {
  readonly error: ApiError | undefined;
  readonly object: KubeObject | undefined;
  readonly warnings: readonly string[];
  readonly annotations: Readonly<Record<string, string>>;
}

/** Runs a plugin alone: first its mutation, then its validation of what came out. */
export async function runAdmissionCase(file: AdmissionCases, one: AdmissionCase): Promise<Outcome> {
  const context = pluginContext({
    cluster: new Cluster([...(file.cluster ?? []), ...(one.cluster ?? [])]),
    authorizer: allowing(one.allowed ?? []),
    ...(one.settings === undefined ? {} : { settings: one.settings }),
  });
  const [plugin] = defaultPlugins(context, {
    enable: [file.plugin],
    disable: PLUGIN_NAMES.filter((name) => name !== file.plugin),
  });
  const attributes = attributesFor({
    operation: one.operation ?? (one.old === undefined ? 'CREATE' : 'UPDATE'),
    object: one.object,
    oldObject: one.old,
    ...pick(one, ['resource', 'group', 'kind', 'subresource', 'namespace', 'dryRun']),
    ...(one.objectName === undefined ? {} : { name: one.objectName }),
    ...(one.user === undefined
      ? {}
      : { user: { name: one.user, uid: '', groups: one.groups ?? [], extra: {} } }),
  });
  let { object } = attributes;
  let error: ApiError | undefined;
  try {
    if (plugin.handles(attributes.operation)) {
      if (mutates(plugin))
        object = await plugin.admit(attributes, { again: false, request: {}, repeat: () => undefined });
      if (validates(plugin)) await plugin.validate({ ...attributes, object });
    }
  } catch (caught) {
    if (!(caught instanceof ApiError)) throw caught;
    error = caught;
  }
  return { error, object, warnings: attributes.warnings, annotations: attributes.annotations };
}

function pick<T extends object, K extends keyof T>(from: T, names: readonly K[]): Pick<T, K> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only names of T are taken
  return Object.fromEntries(
    names.filter((name) => from[name] !== undefined).map((name) => [name, from[name]]),
  ) as unknown as Pick<T, K>;
}

/** Where a value is not as wanted, as `path: …`; members that are not named do not count, null means absent. */
export function differences(wanted: unknown, found: unknown, path = ''): string[] {
  if (wanted === null) return found === undefined || found === null ? [] : [`${path}: should be absent`];
  if (Array.isArray(wanted)) {
    if (!Array.isArray(found)) return [`${path}: no list`];
    const length = wanted.length === found.length ? [] : [`${path}: ${found.length} items`];
    return [
      ...length,
      ...wanted.flatMap((item, index) => differences(item, found[index], `${path}[${index}]`)),
    ];
  }
  if (typeof wanted === 'object') {
    if (typeof found !== 'object' || found === null) return [`${path}: no object`];
    return Object.entries(wanted).flatMap(([name, value]) =>
      differences(value, Reflect.get(found, name), `${path}.${name}`),
    );
  }
  return wanted === found ? [] : [`${path}: ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`];
}
