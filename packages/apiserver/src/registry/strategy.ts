/**
 * What is particular to a kind when its objects are written: what the server sets and wipes, what it refuses,
 * what it warns of, how a deletion goes. Types only. A strategy is pure: it gets an object, gives back another or
 * the same, and never waits; what needs the cluster's state is admission or a hook (resource.ts).
 *
 * Order on create: defaults (on decoding) → managed fields → mutating admission → system fields, generated name →
 * prepareForCreate → the checks of metadata and validate → warningsOnCreate → canonicalize → validating admission →
 * write. On update: defaults → managed fields → mutating admission → prepareForUpdate → the checks of metadata and
 * validateUpdate → warningsOnUpdate → canonicalize → validating admission → write.
 *
 * Objects are given in the version they are stored in, defaults applied. Before prepareForCreate the framework
 * has set uid, creationTimestamp and namespace and emptied metadata.generation; before prepareForUpdate generation
 * is the old one's. A strategy raises it (generation.ts).
 *
 * Modelled on apiserver's registry/rest RESTCreateStrategy, RESTUpdateStrategy and RESTDeleteStrategy.
 */

import type { KubeObject } from '../api/meta.ts';
import type { RequestInfo } from '../api/request-info.ts';
import type { FieldError } from '../api/status.ts';
import type { Pace, Sliced } from '../api/sliced.ts';
import type { UserInfo } from '../api/user-info.ts';

/** What a strategy may know of the request and the server around it. */
export interface StrategyContext {
  readonly user: UserInfo | undefined;
  readonly info: RequestInfo | undefined;
  /** Wall clock in ms since 1970. */
  readonly nowMs: number;
  readonly dryRun: boolean;
  /** A new random UUID (version 4). */
  uuid(): string;
  /** A random whole number, 0 ≤ n < limit. */
  random(limit: number): number;
  /** Takes texts for Warning headers of what checks let pass; undefined where nobody reads them. */
  readonly warn?: ((text: string) => void) | undefined;
}

/** A path of fields from the object's top, `['spec', 'replicas']`. */
export type FieldPathNames = readonly string[];

/** Checks of objects that may be large, or checked by what users write. */
export interface SlicedChecks {
  /**
   * In place of validate and validateUpdate, where that may take longer than others should wait.
   *
   * @param old undefined when the object is made
   */
  validateInSlices?(
    object: KubeObject,
    old: KubeObject | undefined,
    context: StrategyContext,
    pace: Pace,
  ): Sliced<FieldError[]>;
}

export interface CreateStrategy extends SlicedChecks {
  /** Sets and wipes what clients may not say, `status` above all. */
  prepareForCreate?(object: KubeObject, context: StrategyContext): KubeObject;
  /** All that is wrong beyond metadata; names are checked with nameErrors. */
  validate(object: KubeObject, context: StrategyContext): FieldError[];
  /** Texts for Warning headers. */
  warningsOnCreate?(object: KubeObject, context: StrategyContext): string[];
}

export interface UpdateStrategy extends SlicedChecks {
  /** Takes back what this endpoint may not change (`status` on the main one), raises the generation. */
  prepareForUpdate?(object: KubeObject, old: KubeObject, context: StrategyContext): KubeObject;
  /** All that is wrong beyond metadata, immutable fields included. */
  validateUpdate(object: KubeObject, old: KubeObject, context: StrategyContext): FieldError[];
  warningsOnUpdate?(object: KubeObject, old: KubeObject, context: StrategyContext): string[];
  /** Brings what passed into its canonical form (sorted, deduplicated); also after validate of a create. */
  canonicalize?(object: KubeObject): KubeObject;
  /** Whether a PUT on a name that is not there creates the object; false unless said. */
  readonly allowCreateOnUpdate?: boolean;
  /** Whether an update may leave resourceVersion out; true unless said. */
  readonly allowUnconditionalUpdate?: boolean;
  /** Fields whose owners a server-side apply through this endpoint forgets: `[['status']]` on the main one. */
  readonly resetFields?: readonly FieldPathNames[];
}

/** What DeleteOptions and the kind make of a deletion. */
export interface DeleteStrategy {
  /**
   * Whether the object dies by degrees, and in how many seconds: a kind that answers a number gets a
   * deletionTimestamp that far ahead and stays until somebody deletes it with 0. Undefined: it goes at once.
   *
   * @param requestedSeconds gracePeriodSeconds of the options, never negative; undefined when not given
   */
  checkGracefulDelete?(
    object: KubeObject,
    requestedSeconds: number | undefined,
    context: StrategyContext,
  ): number | undefined;
  /** What becomes of dependents where the options do not say; `Background` unless said. */
  defaultPropagationPolicy?(context: StrategyContext): PropagationPolicy;
  /** Errors that forbid the deletion, checked before anything is written. @throws ApiError for a refusal of another kind */
  validateDelete?(object: KubeObject, context: StrategyContext): FieldError[];
  /** Texts for Warning headers. */
  warningsOnDelete?(object: KubeObject, context: StrategyContext, asked: DependentsAsked): string[];
}

/** What the options of a deletion say of dependents. */
export interface DependentsAsked {
  readonly propagationPolicy?: string;
  readonly orphanDependents?: boolean;
}

export type PropagationPolicy = 'Orphan' | 'Background' | 'Foreground';

export interface Strategy extends CreateStrategy, UpdateStrategy, DeleteStrategy {
  /**
   * What is wrong with a name, as texts without the field; DNS-1123 subdomain where absent.
   *
   * @param prefix it is a generateName, to which something is appended yet: a trailing dash is right then
   */
  nameErrors?(name: string, prefix: boolean): string[];
  /** Of a new object metadata is looked at only where the rest is right. */
  readonly metadataLast?: boolean;
  /** The finalizers without a domain that an object may have; any where absent. */
  readonly ownFinalizers?: readonly string[];
}

/** The strategy of an endpoint that only updates: status, approval, ephemeralcontainers. */
export type SubresourceStrategy = UpdateStrategy;
