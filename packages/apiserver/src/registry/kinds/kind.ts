/**
 * From what is particular to a kind to its resource: the names of the reference's table as data, and a strategy
 * out of checks. A kind's file says what it refuses and what it keeps; what most kinds do (status is the
 * controller's, a generation counts the spec) is done here. Fills in no defaults: those go by type (defaults/).
 */

import type { GroupVersion, KubeObject, ObjectMeta } from '../../api/meta.ts';
import type { Pace, Sliced } from '../../api/sliced.ts';
import type { FieldError } from '../../api/status.ts';
import { enabledPodSpec } from '../../validation/disabled-fields.ts';
import { FieldErrors } from '../../validation/field-errors.ts';
import { FieldPath } from '../../validation/field-path.ts';
import { partAt, withFieldAt } from '../../validation/value.ts';
import { firstGeneration, keepField, nextGeneration, withMetadata, withoutField } from '../generation.ts';
import { STANDARD_FINALIZERS } from '../metadata.ts';
import {
  ALL_VERBS,
  UPDATE_VERBS,
  type ResourceDefinition,
  type ResourceHooks,
  type SelectableFields,
  type SubresourceDefinition,
  type Verb,
  type WrittenForm,
} from '../resource.ts';
import type { DeleteStrategy, Strategy, StrategyContext, SubresourceStrategy } from '../strategy.ts';

export const SPEC = FieldPath.of('spec');
export const STATUS = FieldPath.of('status');
export const METADATA = FieldPath.of('metadata');
/** Metadata that is for people and garbage collection. */
export const OTHERS_METADATA = ['labels', 'annotations', 'finalizers', 'ownerReferences'] as const;

/** What a kind refuses and keeps. */
export interface KindChecks {
  readonly checkGracefulDelete?: DeleteStrategy['checkGracefulDelete'];
  readonly defaultPropagationPolicy?: DeleteStrategy['defaultPropagationPolicy'];
  readonly validateDelete?: DeleteStrategy['validateDelete'];
  readonly warningsOnDelete?: DeleteStrategy['warningsOnDelete'];
  readonly nameErrors?: (name: string, prefix: boolean) => string[];
  /** Of a new object metadata is looked at only where the rest is right; finalizers without a domain may be any. */
  readonly metadataLast?: true;
  /** Holds for every object of the kind, on create and on update. @param old what is updated, undefined on create */
  check(errors: FieldErrors, object: KubeObject, old?: KubeObject): void;
  /** The same as check(), where an object may have many parts: asked in its place. */
  readonly checkInSlices?: (errors: FieldErrors, object: KubeObject, pace: Pace) => Sliced<void>;
  /** Holds on create alone. */
  checkCreate?(errors: FieldErrors, object: KubeObject): void;
  /** What an update may not change, told before anything else of it. */
  checkKept?(errors: FieldErrors, object: KubeObject, old: KubeObject): void;
  /** What an update may not change. */
  checkUpdate?(errors: FieldErrors, object: KubeObject, old: KubeObject): void;
  /** An update is checked by checkUpdate alone: the object may be as it could not be created today. */
  readonly updateChecksAlone?: boolean;
  /** What nobody owns who writes the object, or its status: `['status']` and `['spec']` unless said. */
  readonly resetFields?: readonly (readonly string[])[];
  /** The kind has a status, which only its subresource writes. */
  readonly status?: {
    readonly resetFields?: readonly (readonly string[])[];
    /** A create may say it as well: a kubelet registers its node with it. */
    readonly onCreate?: true;
    /** What of the metadata the subresource leaves as it was; nothing where absent. */
    readonly keepsMetadata?: readonly (keyof ObjectMeta)[];
    check?(errors: FieldErrors, object: KubeObject, old: KubeObject): void;
    /** What else of the object the subresource changes as it likes; nothing where absent. */
    prepare?(object: KubeObject, old: KubeObject, context: StrategyContext): KubeObject;
  };
  /** Where the spec of its pods lies: what is off there is left out. */
  readonly podSpecAt?: readonly string[];
  /** Top-level members whose changes count as a new generation; none: the kind has no generation. */
  readonly generation?: readonly string[];
  prepareForCreate?(object: KubeObject, context: StrategyContext): KubeObject;
  prepareForUpdate?(object: KubeObject, old: KubeObject, context: StrategyContext): KubeObject;
  warnings?(object: KubeObject, old: KubeObject | undefined): string[];
  readonly canonicalize?: (object: KubeObject) => KubeObject;
  readonly allowCreateOnUpdate?: boolean;
  readonly allowUnconditionalUpdate?: boolean;
}

function collect(check: (errors: FieldErrors) => void): FieldError[] {
  const errors = new FieldErrors();
  check(errors);
  return errors.list;
}

export function strategyOf(kind: KindChecks): Strategy {
  const { generation = [] } = kind;
  return {
    ...(kind.nameErrors === undefined ? {} : { nameErrors: kind.nameErrors }),
    ...(kind.metadataLast === undefined ? {} : { metadataLast: kind.metadataLast }),
    ...(kind.checkGracefulDelete === undefined ? {} : { checkGracefulDelete: kind.checkGracefulDelete }),
    ...(kind.defaultPropagationPolicy === undefined
      ? {}
      : { defaultPropagationPolicy: kind.defaultPropagationPolicy }),
    ...(kind.validateDelete === undefined ? {} : { validateDelete: kind.validateDelete }),
    ...(kind.warningsOnDelete === undefined ? {} : { warningsOnDelete: kind.warningsOnDelete }),
    ...(kind.canonicalize === undefined ? {} : { canonicalize: kind.canonicalize }),
    ...(kind.status === undefined ? {} : { resetFields: kind.resetFields ?? [['status']] }),
    allowCreateOnUpdate: kind.allowCreateOnUpdate ?? false,
    allowUnconditionalUpdate: kind.allowUnconditionalUpdate ?? true,
    prepareForCreate(object, context) {
      const kept = kind.status === undefined || kind.status.onCreate === true;
      let prepared = kept ? object : withoutField(object, 'status');
      prepared = withEnabledPods(kind, prepared, undefined);
      if (generation.length > 0) prepared = firstGeneration(prepared);
      return kind.prepareForCreate?.(prepared, context) ?? prepared;
    },
    validate(object) {
      return collect((errors) => {
        kind.check(errors, object);
        kind.checkCreate?.(errors, object);
      });
    },
    prepareForUpdate(object, old, context) {
      let prepared = kind.status === undefined ? object : keepField(object, old, 'status');
      prepared = withEnabledPods(kind, prepared, old);
      prepared = kind.prepareForUpdate?.(prepared, old, context) ?? prepared;
      return generation.length === 0 ? prepared : nextGeneration(prepared, old, generation);
    },
    validateUpdate(object, old) {
      return collect((errors) => {
        kind.checkKept?.(errors, object, old);
        if (kind.updateChecksAlone !== true) kind.check(errors, object, old);
        kind.checkUpdate?.(errors, object, old);
      });
    },
    ...(kind.checkInSlices === undefined ? {} : { validateInSlices: inSlices(kind, kind.checkInSlices) }),
    warningsOnCreate: (object) => kind.warnings?.(object, undefined) ?? [],
    warningsOnUpdate: (object, old) => kind.warnings?.(object, old) ?? [],
  };
}

/** As validate() and validateUpdate(). */
function inSlices(
  kind: KindChecks,
  check: NonNullable<KindChecks['checkInSlices']>,
): NonNullable<Strategy['validateInSlices']> {
  return function* (object, old, _context, pace) {
    const errors = new FieldErrors();
    if (old !== undefined) kind.checkKept?.(errors, object, old);
    yield* check(errors, object, pace);
    if (old === undefined) kind.checkCreate?.(errors, object);
    else kind.checkUpdate?.(errors, object, old);
    return errors.list;
  };
}

function withEnabledPods(
  { podSpecAt }: KindChecks,
  object: KubeObject,
  old: KubeObject | undefined,
): KubeObject {
  if (podSpecAt === undefined) return object;
  const spec = partAt(object, ...podSpecAt);
  const kept = enabledPodSpec(spec, old === undefined ? undefined : partAt(old, ...podSpecAt));
  return kept === spec ? object : withFieldAt(object, podSpecAt, kept);
}

/** Objects that are written in another version of their group, one that looks the same. */
export function writtenAs(file: {
  readonly group: string;
  readonly types: string;
  readonly kind: string;
  readonly version: string;
  /** The version they have in memory. */
  readonly of: string;
}): WrittenForm {
  const { group, types, kind, version, of } = file;
  return {
    as: {
      version,
      typeName: `${types}.${version}.${kind}`,
      write: (object) => ({ ...object, apiVersion: `${group}/${version}` }),
      read: (object) => ({ ...object, apiVersion: `${group}/${of}` }),
    },
  };
}

/** The subresource status of a kind: everything but the status stays as it was. */
export function statusOf(kind: KindChecks): SubresourceDefinition {
  const strategy: SubresourceStrategy = {
    resetFields: kind.status?.resetFields ?? [['spec']],
    allowUnconditionalUpdate: kind.allowUnconditionalUpdate ?? true,
    prepareForUpdate(object, old, context) {
      let prepared = kind.status?.prepare?.(object, old, context) ?? object;
      for (const field of Object.keys({ ...old, ...object })) {
        if (!STATUS_KEEPS.has(field)) prepared = keepField(prepared, old, field);
      }
      const kept = kind.status?.keepsMetadata ?? [];
      if (kept.length === 0) return prepared;
      return withMetadata(prepared, Object.fromEntries(kept.map((name) => [name, old.metadata[name]])));
    },
    validateUpdate: (object, old) => collect((errors) => kind.status?.check?.(errors, object, old)),
  };
  return { name: 'status', verbs: UPDATE_VERBS, backing: { kind: 'update', strategy } };
}

const STATUS_KEEPS: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata', 'status']);

/** A kind's row in the table of resources. */
export interface KindFile {
  readonly group: string;
  /** Where the fact table has its types: `core` of `core.v1.Pod`. */
  readonly types: string;
  readonly resource: string;
  readonly kind: string;
  readonly scope: 'Namespaced' | 'Cluster';
  /** Preferred first; v1 unless said. */
  readonly versions?: readonly string[];
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly verbs?: readonly Verb[];
  /** Under /registry; the resource's name unless said. */
  readonly keyPrefix?: string;
  /** The version objects are stored in; the first one unless said. */
  readonly storage?: GroupVersion;
  readonly written?: WrittenForm;
  /** A feature that has to be switched on as well, of --feature-gates. */
  readonly gate?: string;
  readonly checks: KindChecks;
  readonly subresources?: readonly SubresourceDefinition[];
  readonly selectable?: SelectableFields;
  readonly hooks?: ResourceHooks;
  readonly returnsDeletedObject?: boolean;
  readonly convert?: (object: KubeObject, to: GroupVersion) => KubeObject;
  readonly ttlSeconds?: (object: KubeObject) => number;
  /** All versions are deprecated: each request is told, reads too. */
  readonly deprecationWarning?: string;
}

/** Groups whose objects the original checks as it checks custom resources: finalizers without a domain may be any. */
const ANY_FINALIZERS: ReadonlySet<string> = new Set([
  'admissionregistration.k8s.io',
  'apiextensions.k8s.io',
  'apiregistration.k8s.io',
  'coordination.k8s.io',
  'internal.apiserver.k8s.io',
]);

export function defineKind(file: KindFile): ResourceDefinition {
  const { group, resource, kind, checks } = file;
  const versions = file.versions ?? ['v1'];
  const status = checks.status === undefined ? [] : [statusOf(checks)];
  return {
    group,
    resource,
    singular: kind.toLowerCase(),
    kind,
    shortNames: file.shortNames ?? [],
    categories: file.categories ?? [],
    scope: file.scope,
    versions: versions.map((version) => ({
      version,
      typeName: `${file.types}.${version}.${kind}`,
      ...(file.deprecationWarning === undefined ? {} : { deprecationWarning: file.deprecationWarning }),
    })),
    verbs: file.verbs ?? ALL_VERBS,
    backing: {
      kind: 'stored',
      keyPrefix: file.keyPrefix ?? resource,
      version: file.storage ?? { group, version: versions[0] },
      ...(file.written === undefined ? {} : { written: file.written }),
      ...(file.ttlSeconds === undefined ? {} : { ttlSeconds: file.ttlSeconds }),
    },
    strategy:
      ANY_FINALIZERS.has(group) || checks.metadataLast === true
        ? strategyOf(checks)
        : { ...strategyOf(checks), ownFinalizers: STANDARD_FINALIZERS },
    subresources: [...(file.subresources ?? []), ...status].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    ...(file.selectable === undefined ? {} : { selectable: file.selectable }),
    ...(file.hooks === undefined ? {} : { hooks: file.hooks }),
    ...(file.returnsDeletedObject === undefined ? {} : { returnsDeletedObject: file.returnsDeletedObject }),
    ...(file.convert === undefined ? {} : { convert: file.convert }),
    ...(file.gate === undefined ? {} : { gate: file.gate }),
  };
}

/** Selectable fields by the paths they are read from, `spec.nodeName`. */
export function selectableAt(
  names: readonly string[],
  absent: Readonly<Record<string, string>> = {},
): SelectableFields {
  const sorted = names.toSorted();
  return {
    names: sorted,
    values(object) {
      const values: Record<string, string> = {};
      for (const name of sorted) {
        let at: unknown = object;
        for (const step of name.split('.')) {
          at = typeof at === 'object' && at !== null ? Reflect.get(at, step) : undefined;
        }
        const known = typeof at === 'string' || typeof at === 'number' || typeof at === 'boolean';
        values[name] = known ? String(at) : (absent[name] ?? '');
      }
      return values;
    },
  };
}
