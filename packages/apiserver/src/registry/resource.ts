/**
 * One resource as the server serves it, data and a few functions: names, versions, how it is stored, what is
 * done with its objects, what lies under them, how it is printed. Built-in kinds write one of these each;
 * custom resources are made of their definitions. Types and their plain defaults only: store.ts acts on them.
 */

import type { ApiRequest, ApiResponse } from '../api/exchange.ts';
import type { JsonObject } from '../api/json.ts';
import type { GroupResource, GroupVersion, GroupVersionKind, KubeObject } from '../api/meta.ts';
import type { RequestInfo } from '../api/request-info.ts';
import type { Pace, Sliced, Slices } from '../api/sliced.ts';
import type { TablePrinter } from '../printers/printer.ts';
import type { StructSchema } from '../schema/type-schema.ts';
import type { Storage } from '../storage/storage.ts';
import type { Strategy, StrategyContext, SubresourceStrategy } from './strategy.ts';

export type Verb = 'create' | 'delete' | 'deletecollection' | 'get' | 'list' | 'patch' | 'update' | 'watch';

/** `A` of the reference's table: what most resources offer. Sorted, as discovery shows verbs. */
export const ALL_VERBS: readonly Verb[] = [
  'create',
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'update',
  'watch',
];
export const UPDATE_VERBS: readonly Verb[] = ['get', 'patch', 'update'];

/** One version of a resource. */
export interface VersionDefinition {
  readonly version: string;
  /** Name in the fact table, `apps.v1.Deployment`; empty where `schema` is given (custom resources). */
  readonly typeName: string;
  readonly schema?: StructSchema;
  /**
   * A client's JSON as an object of a custom resource, in place of what the type would make of it; without defaults.
   *
   * @param unknown told the path of each member that is left out
   * @throws TypedError
   */
  read?(value: JsonObject, unknown?: (path: string) => void): JsonObject;
  /** The same, which can be put down: for what is large. */
  readInSlices?(
    value: JsonObject,
    unknown: ((path: string) => void) | undefined,
    pace: Pace,
  ): Sliced<JsonObject>;
  /** Served without being asked for by runtime-config: GA versions. True unless said. */
  readonly servedByDefault?: boolean;
  /**
   * Fills in what was left out, as the version's defaulting does. Runs on each object that is decoded, from
   * requests and from storage, before anything else sees it.
   */
  defaults?(object: KubeObject): KubeObject;
  /** The same, which can be put down: for what is large. */
  defaultsInSlices?(object: KubeObject, pace: Pace): Sliced<KubeObject>;
  readonly printer?: TablePrinter;
  /** Warning for each request to this version, where it is deprecated. */
  readonly deprecationWarning?: string;
}

/** How objects are written where that is not their version in the server's media type: as the original writes them. */
export interface WrittenForm {
  readonly mediaType?: 'json';
  /** In another version of the group. */
  readonly as?: {
    readonly version: string;
    /** The fact table's name of its type. */
    readonly typeName: string;
    /** An object of the backing's version in this one. */
    readonly write: (object: KubeObject) => KubeObject;
    /** The way back. */
    readonly read: (object: KubeObject) => KubeObject;
  };
}

/** Where objects lie. */
export interface StoredBacking {
  readonly kind: 'stored';
  /** Under the server's prefix, without slashes at its ends: `configmaps`, `services/specs`, `minions`. */
  readonly keyPrefix: string;
  /** Objects are written in this version (its group may be another resource's: events). */
  readonly version: GroupVersion;
  readonly written?: WrittenForm;
  /** Objects live this long after each write; undefined: for ever. */
  ttlSeconds?(object: KubeObject): number;
}

/** A resource that keeps nothing: reviews answer, component statuses are looked up. */
export interface VirtualBacking {
  readonly kind: 'virtual';
  create?(call: ResourceCall): Promise<KubeObject>;
  get?(name: string, call: ResourceCall): Promise<KubeObject>;
  list?(call: ResourceCall): Promise<readonly KubeObject[]>;
}

/** A request to a resource that is not plain storage, decoded. */
export interface ResourceCall {
  readonly namespace: string;
  readonly name: string;
  /** The body, in the subresource's or the resource's own kind, defaults applied; undefined where there is none. */
  readonly body: KubeObject | undefined;
  readonly info: RequestInfo;
  readonly context: StrategyContext;
  readonly request: ApiRequest;
  readonly stores: Stores;
}

/** The stores of other resources, for hooks and subresources. */
export interface Stores {
  /** The store of a resource; undefined when it is not served. */
  of(resource: GroupResource): ObjectStore | undefined;
  /** What lies below /ranges: RangeAllocations, which no client sees. */
  ranges(): Storage;
}

/** The part of store.ts that hooks and subresources use; objects in the storage version. */
export interface ObjectStore {
  readonly definition: ResourceDefinition;
  /** @throws ApiError NotFound */
  get(namespace: string, name: string): Promise<KubeObject>;
  list(namespace: string): Promise<readonly KubeObject[]>;
  /**
   * Reads, changes and writes, again when somebody else wrote meanwhile; no admission.
   *
   * @param change gives the object to write; the same one to write nothing; throws to stop
   * @param strategy the checks to run; the resource's own without
   */
  change(
    namespace: string,
    name: string,
    change: (object: KubeObject) => KubeObject,
    options: { readonly dryRun: boolean; readonly strategy?: SubresourceStrategy },
  ): Promise<KubeObject>;
  create(namespace: string, object: KubeObject, options: { readonly dryRun: boolean }): Promise<KubeObject>;
  delete(
    namespace: string,
    name: string,
    options: {
      readonly dryRun: boolean;
      readonly gracePeriodSeconds?: number;
      readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
    },
  ): Promise<KubeObject>;
}

/** How `scale` reads and writes a parent. */
export interface ScaleFields {
  /** `['spec', 'replicas']`. */
  readonly specReplicas: readonly string[];
  /** A custom resource may have none, which is told, and its own checks look at them. */
  readonly custom?: boolean;
  /** `['status', 'replicas']`. */
  readonly statusReplicas: readonly string[];
  /** status.selector of the Scale, as a selector's text; empty where there is none. */
  selector(object: KubeObject): string;
}

export type SubresourceBacking =
  /** The parent itself, updated under another strategy: status, approval, resize, finalize. */
  | { readonly kind: 'update'; readonly strategy: SubresourceStrategy }
  /** autoscaling/v1 Scale. */
  | { readonly kind: 'scale'; readonly fields: ScaleFields }
  /** An object is sent and an object answered: binding, eviction, token. */
  | {
      readonly kind: 'create';
      /** What validating admission sees, and `create` gets, in place of what was sent. */
      complete?(call: ResourceCall): Promise<KubeObject>;
      create(call: ResourceCall): Promise<KubeObject | ApiResponse>;
    }
  /** What is talked to instead of read and written: log, exec, proxy. */
  | {
      readonly kind: 'connect';
      /** Any method, and any path below. */
      readonly open?: true;
      /** A reading GET like any other: no connection that admission is asked about. */
      readonly read?: true;
      /**
       * What the query says, as the subresource's kind; the call's body, and the object that admission sees.
       *
       * @throws ApiError
       */
      options(query: URLSearchParams, info: RequestInfo): KubeObject;
      connect(call: ResourceCall): Promise<ApiResponse>;
    };

export interface SubresourceDefinition {
  /** `status`. */
  readonly name: string;
  /** Kind of the object on the wire where it is not the parent's: `{autoscaling, v1, Scale}`. */
  readonly kind?: GroupVersionKind;
  /** Fact table's name of that kind. */
  readonly typeName?: string;
  readonly verbs: readonly Verb[];
  readonly backing: SubresourceBacking;
  /** Versions of the parent that have it; all unless said. */
  readonly versions?: readonly string[];
}

/** What a hook reserved: made good once the write stands, given back when it fails. */
export interface Reservation {
  readonly object: KubeObject;
  finish(success: boolean): Promise<void>;
}

/**
 * Steps around a write that need more than the object: addresses that are allocated, other objects that are
 * changed with it. Run after the strategy's prepare and before validation; on an error nothing was written.
 */
export interface ResourceHooks {
  beginCreate?(object: KubeObject, context: StrategyContext, stores: Stores): Promise<Reservation>;
  beginUpdate?(
    object: KubeObject,
    old: KubeObject,
    context: StrategyContext,
    stores: Stores,
  ): Promise<Reservation>;
  afterDelete?(object: KubeObject, context: StrategyContext, stores: Stores): Promise<void>;
  /**
   * Whether an object without finalizers in metadata may be removed now: a namespace waits for spec.finalizers.
   * True unless said.
   */
  removable?(object: KubeObject): boolean;
  /** What else changes on an object whose deletion begins and has to wait: a namespace's phase. */
  terminating?(object: KubeObject): KubeObject;
}

/**
 * Fields of a kind that selectors may name beyond metadata.name, and metadata.namespace where it has namespaces.
 * (A kind without them takes both, as the original does.)
 */
export interface SelectableFields {
  /** Sorted. */
  readonly names: readonly string[];
  /** Their values for one object; a name that is missing counts as empty. */
  values(object: KubeObject): Readonly<Record<string, string>>;
  /** Other names clients may use, to those above: `regarding.name` of events.k8s.io. */
  readonly aliases?: Readonly<Record<string, string>>;
  /** Those of `names` that clients may not use: they know them by another one. None unless said. */
  readonly hidden?: readonly string[];
  /** What is said of a name that is not known; `field label not supported: NAME` unless said. */
  refusal?(field: string): string;
}

export interface ResourceDefinition {
  readonly group: string;
  /** Plural, as in URLs. */
  readonly resource: string;
  readonly singular: string;
  readonly kind: string;
  /** `kind` with List behind it unless said. */
  readonly listKind?: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly scope: 'Namespaced' | 'Cluster';
  /** Preferred first. */
  readonly versions: readonly VersionDefinition[];
  /** Sorted. */
  readonly verbs: readonly Verb[];
  readonly backing: StoredBacking | VirtualBacking;
  readonly strategy: Strategy;
  readonly subresources: readonly SubresourceDefinition[];
  readonly selectable?: SelectableFields;
  readonly hooks?: ResourceHooks;
  /** The feature that has to be on for it to be served, of --feature-gates. */
  readonly gate?: string;
  /** A deletion answers the object that was there instead of a Status: pods, namespaces, services, PV, PVC. */
  readonly returnsDeletedObject?: boolean;
  /**
   * The same object in another version; undefined where a kind has one version, or versions that differ in
   * apiVersion alone.
   */
  convert?(object: KubeObject, to: GroupVersion): KubeObject;
  /** Makes the calls that convert() will need of these objects, as few as it can, in these slices. @throws ApiError */
  prepareConversion?(objects: readonly KubeObject[], to: GroupVersion, slices?: Slices): Promise<void>;
}

/** The version of this name, if the resource has it. */
export function versionOf(definition: ResourceDefinition, version: string): VersionDefinition | undefined {
  return definition.versions.find((candidate) => candidate.version === version);
}

export function listKindOf(definition: ResourceDefinition): string {
  return definition.listKind ?? `${definition.kind}List`;
}

/** The group a kind has inside, where that is not the one it is served in. */
export function internalGroup({ group, backing }: ResourceDefinition): string {
  return backing.kind === 'stored' && group === 'events.k8s.io' ? backing.version.group : group;
}
