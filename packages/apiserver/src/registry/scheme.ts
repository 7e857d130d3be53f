/**
 * What is served at this moment: resources by group, version and name, each with its store, and how an object of
 * one version becomes one of another. Resources come and go while the server runs (custom ones); whoever keeps
 * something made of the scheme asks for its generation.
 *
 * Which versions of the built-in kinds are served is --runtime-config's to say.
 */

import { gateIsOn } from '../api/feature-gates.ts';
import type { JsonObject } from '../api/json.ts';
import {
  apiVersionOf,
  describeResource,
  type GroupResource,
  type GroupVersion,
  type KubeObject,
} from '../api/meta.ts';
import type { Pace, Sliced } from '../api/sliced.ts';
import { typeName } from '../codec/object-codec.ts';
import type { ProtobufCodec } from '../codec/protobuf.ts';
import { conform, conformInSlices } from '../codec/typed.ts';
import type { StructSchema } from '../schema/type-schema.ts';
import type { TypeTable } from '../schema/type-table.ts';
import { RANGES_PREFIX } from '../storage/keys.ts';
import { builtInCodec, customCodec, type ReadableType } from '../storage/object-codec.ts';
import type { ObjectCodec, SlicedCodec, Storage, StorageResource } from '../storage/storage.ts';
import {
  listKindOf,
  versionOf,
  type ObjectStore,
  type ResourceDefinition,
  type StoredBacking,
  type Stores,
  type VersionDefinition,
} from './resource.ts';
import { ResourceStore } from './store.ts';
import type { StrategyContext } from './strategy.ts';

export interface SchemeOptions {
  readonly types: TypeTable;
  readonly protobuf: ProtobufCodec;
  /** Of built-in kinds in the store; protobuf unless said. */
  readonly mediaType?: 'protobuf' | 'json';
  /** Opens what holds a resource's objects. @param definition undefined for what is no resource of its own */
  storage(resource: StorageResource, definition?: ResourceDefinition): Storage;
  /** The context of what hooks and controllers do. */
  context(dryRun: boolean): StrategyContext;
  /** --runtime-config: `apps/v1`, `api/beta`, `resource.k8s.io/v1beta1/deviceclasses` to whether it is served. */
  readonly runtimeConfig?: ReadonlyMap<string, boolean>;
  /** --feature-gates; kinds whose feature is not on are not served. */
  readonly featureGates?: ReadonlyMap<string, boolean>;
}

/** Fills in what an object left out. */
type Defaults = (object: KubeObject) => KubeObject;

/** A resource in the version a request names. */
export interface Served {
  readonly definition: ResourceDefinition;
  readonly version: VersionDefinition;
  /** `apps/v1`. */
  readonly apiVersion: string;
  readonly kind: string;
  readonly listKind: string;
  readonly schema: StructSchema;
  /** Undefined for a virtual resource. */
  readonly store: ResourceStore | undefined;
  /** The object with the version's defaults. */
  readonly defaults: Defaults;
}

interface Entry {
  readonly definition: ResourceDefinition;
  readonly storage: Storage | undefined;
  readonly store: ResourceStore | undefined;
  readonly versions: ReadonlyMap<string, Served>;
  /** Discovery does not tell of it yet. */
  readonly silent: boolean;
}

export class Scheme implements Stores {
  readonly types: TypeTable;
  private readonly options: SchemeOptions;
  private readonly entries = new Map<string, Entry>();
  private readonly context: SchemeOptions['context'];
  private changes = 0;
  private rangeStorage: Storage | undefined = undefined;

  constructor(options: SchemeOptions) {
    this.options = options;
    this.types = options.types;
    this.context = (dryRun) => options.context(dryRun);
  }

  /** Another number after each change. */
  generation(): number {
    return this.changes;
  }

  /**
   * Serves a resource, in place of the one of the same name.
   *
   * @param options `silent`: discovery does not tell of it before `announce`
   * @returns ends the watches of what was served under the name before
   */
  add(definition: ResourceDefinition, options: { readonly silent?: boolean } = {}): () => void {
    const { backing } = definition;
    const resource = backing.kind === 'stored' ? this.storageResource(definition, backing) : undefined;
    const storage = resource && this.options.storage(resource, definition);
    const store = storage && new ResourceStore(definition, storage, this, resource.codec, this.context);
    const versions = new Map<string, Served>();
    const { gate } = definition;
    const on = gate === undefined || gateIsOn(gate, this.options.featureGates ?? NO_CONFIG);
    for (const version of definition.versions) {
      if (!on || !isServed(definition, version, this.options.runtimeConfig ?? NO_CONFIG)) continue;
      versions.set(version.version, {
        definition,
        version,
        apiVersion: apiVersionOf({ group: definition.group, version: version.version }),
        kind: definition.kind,
        listKind: listKindOf(definition),
        schema: this.schemaOf(version),
        store,
        defaults: version.defaults?.bind(version) ?? asItIs,
      });
    }
    this.changes += 1;
    const name = describeResource(definition);
    const before = this.entries.get(name)?.storage;
    // A custom resource without a version that is served is still stored, and goes with its definition.
    if (versions.size > 0 || definition.versions.some(({ schema }) => schema !== undefined)) {
      this.entries.set(name, { definition, storage, store, versions, silent: options.silent ?? false });
    } else {
      storage?.close?.();
    }
    return closing(before);
  }

  /**
   * Serves a resource no more; its objects stay where they are.
   *
   * @returns ends its watches
   */
  remove(resource: GroupResource): () => void {
    const name = describeResource(resource);
    const storage = this.entries.get(name)?.storage;
    if (this.entries.delete(name)) this.changes += 1;
    return closing(storage);
  }

  /** Lets discovery tell of a resource that was added in silence. */
  announce(resource: GroupResource): void {
    const name = describeResource(resource);
    const entry = this.entries.get(name);
    if (entry?.silent !== true) return;
    this.entries.set(name, { ...entry, silent: false });
    this.changes += 1;
  }

  find(group: string, version: string, resource: string): Served | undefined {
    return this.entries.get(describeResource({ group, resource }))?.versions.get(version);
  }

  /** Whether any resource of the group is served, in whichever version. */
  hasGroup(group: string): boolean {
    for (const { definition } of this.entries.values()) if (definition.group === group) return true;
    return false;
  }

  of(resource: GroupResource): ObjectStore | undefined {
    return this.entries.get(describeResource(resource))?.store;
  }

  ranges(): Storage {
    const { protobuf, mediaType, types } = this.options;
    this.rangeStorage ??= this.options.storage({
      resource: { group: '', resource: 'servicenodeportallocations' },
      prefix: RANGES_PREFIX,
      codec: builtInCodec({
        protobuf,
        ...(mediaType === undefined ? {} : { mediaType }),
        schemaProps: this.schemaProps(),
        stored: {
          apiVersion: 'v1',
          kind: 'RangeAllocation',
          struct: types.struct('core.v1.RangeAllocation'),
        },
      }),
      fieldsOf: () => ({}),
    });
    return this.rangeStorage;
  }

  /** The store with all that the server itself does with it. */
  store(resource: GroupResource): ResourceStore | undefined {
    return this.entries.get(describeResource(resource))?.store;
  }

  /** All resources in all versions that are served. */
  *served(): IterableIterator<Served> {
    for (const { versions } of this.entries.values()) yield* versions.values();
  }

  /** What discovery tells of. */
  *announced(): IterableIterator<Served> {
    for (const { versions, silent } of this.entries.values()) if (!silent) yield* versions.values();
  }

  /** The object in another version of its resource. */
  convert(definition: ResourceDefinition, object: KubeObject, to: GroupVersion): KubeObject {
    const apiVersion = apiVersionOf(to);
    if (object.apiVersion === apiVersion) return object;
    return definition.convert?.(object, to) ?? { ...object, apiVersion };
  }

  /** The object in the version it is stored in; a virtual resource's stays as it is. */
  toStored(definition: ResourceDefinition, object: KubeObject): KubeObject {
    return definition.backing.kind === 'stored'
      ? this.convert(definition, object, definition.backing.version)
      : object;
  }

  /** The object as a request's version shows it. */
  toServed({ definition, version }: Served, object: KubeObject): KubeObject {
    return this.convert(definition, object, { group: definition.group, version: version.version });
  }

  /**
   * JSON as an object of the version: in Go's form, with defaults.
   *
   * @param unknown told the path of each member that no field knows
   * @throws TypedError
   */
  toObject(served: Served, value: JsonObject, unknown?: (path: string) => void): KubeObject {
    const { schema, apiVersion, kind, version } = served;
    if (version.read !== undefined) {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what is read has apiVersion, kind and metadata
      return served.defaults(version.read(value, unknown) as unknown as KubeObject);
    }
    const typed = conform(schema, value, {
      schemaProps: this.schemaProps(),
      ...(unknown === undefined ? {} : { unknown }),
    });
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- conform gives metadata its type
    const object = { ...typed, apiVersion, kind } as unknown as KubeObject;
    return served.defaults(object);
  }

  /** The same, which can be put down. @throws TypedError */
  *toObjectInSlices(
    served: Served,
    value: JsonObject,
    unknown: ((path: string) => void) | undefined,
    pace: Pace,
  ): Sliced<KubeObject> {
    const { schema, apiVersion, kind, version } = served;
    if (version.readInSlices !== undefined && version.defaultsInSlices !== undefined) {
      const read = yield* version.readInSlices(value, unknown, pace);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as toObject()
      return yield* version.defaultsInSlices(read as unknown as KubeObject, pace);
    }
    if (version.read !== undefined) return this.toObject(served, value, unknown);
    const options = { schemaProps: this.schemaProps(), ...(unknown === undefined ? {} : { unknown }) };
    const typed = yield* conformInSlices(schema, value, options, pace);
    if (pace.due()) yield;
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as toObject()
    return served.defaults({ ...typed, apiVersion, kind } as unknown as KubeObject);
  }

  schemaProps(): StructSchema {
    return this.types.struct('apiextensions.v1.JSONSchemaProps');
  }

  private schemaOf(version: VersionDefinition): StructSchema {
    return version.schema ?? this.types.struct(version.typeName);
  }

  private storageResource(definition: ResourceDefinition, backing: StoredBacking): StorageResource {
    const { group, resource, selectable } = definition;
    return {
      resource: { group, resource },
      prefix: `/${backing.keyPrefix}`,
      codec: this.codecOf(definition, backing),
      fieldsOf: ({ metadata, ...rest }) => ({
        ...selectable?.values({ metadata, ...rest }),
        'metadata.name': metadata.name ?? '',
        'metadata.namespace': metadata.namespace ?? '',
      }),
    };
  }

  /** What lies in the store, with defaults: it may have been written before a field had one. */
  private codecOf(definition: ResourceDefinition, backing: StoredBacking): ObjectCodec {
    const stored =
      backing.version.group === definition.group ? versionOf(definition, backing.version.version) : undefined;
    const codec =
      stored?.schema === undefined ? this.builtInCodec(definition, backing, stored) : customCodec();
    const defaults = stored?.defaults?.bind(stored);
    if (defaults === undefined) return codec;
    return {
      encode: (value) => codec.encode(value),
      decode: (bytes, resourceVersion) => defaults(codec.decode(bytes, resourceVersion)),
      reread(value, resourceVersion) {
        const read = codec.reread?.(value, resourceVersion);
        return read && defaults(read);
      },
      ...(codec.keepsOrder === undefined ? {} : { keepsOrder: codec.keepsOrder }),
      ...(codec.slices === undefined ? {} : { slices: defaulting(codec.slices, stored, defaults) }),
    };
  }

  private builtInCodec(
    definition: ResourceDefinition,
    backing: StoredBacking,
    stored: VersionDefinition | undefined,
  ): ObjectCodec {
    const type = stored?.typeName ?? typeName({ ...backing.version, kind: definition.kind });
    const { kind } = definition;
    const readable: ReadableType[] = [];
    for (const version of definition.versions) {
      if (version === stored) continue;
      readable.push({
        apiVersion: apiVersionOf({ group: definition.group, version: version.version }),
        kind,
        struct: this.schemaOf(version),
        convert: (value) => this.convert(definition, value, backing.version),
      });
    }
    const { protobuf } = this.options;
    const { written } = backing;
    const mediaType = written?.mediaType ?? this.options.mediaType;
    const form = written?.as && {
      apiVersion: apiVersionOf({ group: definition.group, version: written.as.version }),
      kind,
      struct: this.types.struct(written.as.typeName),
    };
    if (form !== undefined && written?.as !== undefined) readable.push({ ...form, convert: written.as.read });
    return builtInCodec({
      protobuf,
      ...(mediaType === undefined ? {} : { mediaType }),
      ...(form === undefined || written?.as === undefined
        ? {}
        : { written: { ...form, make: written.as.write } }),
      schemaProps: this.schemaProps(),
      stored: { apiVersion: apiVersionOf(backing.version), kind, struct: this.types.struct(type) },
      readable,
    });
  }
}

/** Apart from what opens the next one, whose closures would keep this one alive. */
function closing(storage: Storage | undefined): () => void {
  return () => storage?.close?.();
}

function asItIs(object: KubeObject): KubeObject {
  return object;
}

/** What is read has defaults, those of what is large in slices where the version has such. */
function defaulting(
  codec: SlicedCodec,
  version: VersionDefinition | undefined,
  defaults: Defaults,
): SlicedCodec {
  const inSlices = version?.defaultsInSlices?.bind(version);
  function* filled(object: KubeObject, pace: Pace): Sliced<KubeObject> {
    if (pace.due()) yield;
    return inSlices === undefined ? defaults(object) : yield* inSlices(object, pace);
  }
  return {
    encode: (value, pace) => codec.encode(value, pace),
    *decode(bytes, resourceVersion, pace) {
      return yield* filled(yield* codec.decode(bytes, resourceVersion, pace), pace);
    },
    *reread(value, resourceVersion, pace) {
      const read = yield* codec.reread(value, resourceVersion, pace);
      return read && (yield* filled(read, pace));
    },
  };
}

const NO_CONFIG: ReadonlyMap<string, boolean> = new Map();

/** Whether --runtime-config lets a version be served: the narrowest word counts. */
function isServed(
  { group, resource }: ResourceDefinition,
  { version, servedByDefault, schema }: VersionDefinition,
  config: ReadonlyMap<string, boolean>,
): boolean {
  // A custom resource's definition says itself which versions are served.
  if (schema !== undefined) return servedByDefault ?? true;
  const groupVersion = `${group === '' ? 'api' : group}/${version}`;
  const stage = version.includes('alpha') ? 'api/alpha' : version.includes('beta') ? 'api/beta' : 'api/ga';
  return (
    config.get(`${groupVersion}/${resource}`) ??
    config.get(groupVersion) ??
    config.get(stage) ??
    config.get('api/all') ??
    servedByDefault ??
    true
  );
}

/**
 * Reads --runtime-config, `apps/v1=true,api/beta=false`; a name without a value is meant true.
 *
 * @throws Error with the original's text
 */
export function parseRuntimeConfig(text: string): Map<string, boolean> {
  const config = new Map<string, boolean>();
  for (const item of text.split(',')) {
    if (item.trim() === '') continue;
    const equals = item.indexOf('=');
    const name = (equals < 0 ? item : item.slice(0, equals)).trim();
    const value = equals < 0 ? 'true' : item.slice(equals + 1).trim();
    if (value !== 'true' && value !== 'false' && value !== '') {
      throw new Error(`invalid value ${name}=${value}`);
    }
    config.set(name, value !== 'false');
  }
  return config;
}
