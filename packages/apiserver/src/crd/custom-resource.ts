/**
 * What a CustomResourceDefinition defines, as a resource of the server like any other: versions, strategies of objects
 * and of their status, scale, columns, selectors, conversion. Made anew whenever the definition changes.
 *
 * An object is checked by the schema of the version its client uses, and stored in the storage version.
 */

import { sameJson } from '../api/equal.ts';
import type { Json, JsonObject } from '../api/json.ts';
import type { GroupVersion, KubeObject } from '../api/meta.ts';
import { owned } from '../api/own-text.ts';
import type { FieldError } from '../api/status.ts';
import { finish, WITHOUT_PAUSE, type Pace, type Sliced } from '../api/sliced.ts';
import { compareVersions } from '../api/version-order.ts';
import { asJson, asObject } from '../codec/object-codec.ts';
import { firstGeneration, keepField, withMetadata, withoutField } from '../registry/generation.ts';
import {
  ALL_VERBS,
  UPDATE_VERBS,
  type ResourceDefinition,
  type SelectableFields,
  type SubresourceDefinition,
  type VersionDefinition,
} from '../registry/resource.ts';
import type { Strategy, StrategyContext, SubresourceStrategy } from '../registry/strategy.ts';
import { customPrefix } from '../storage/keys.ts';
import { flag, part, parts, text, texts } from '../validation/value.ts';
import { customPrinter } from './columns.ts';
import type { Converter } from './converter.ts';
import { CompiledSchemas, CustomSchema } from './custom-schema.ts';
import { CustomVersion, type VersionParts } from './custom-version.ts';
import { valueAt } from './field-paths.ts';

export interface CustomParts extends VersionParts {
  readonly compiled: CompiledSchemas;
  /** How objects of a definition become another version's. @param definition its schemas are left out */
  converter(definition: KubeObject): Converter;
}

export class CustomResource {
  readonly versions: readonly CustomVersion[];
  readonly definition: ResourceDefinition;
  readonly kind: string;
  private readonly group: string;
  private readonly storage: CustomVersion;
  private readonly converter: Converter;

  /** @param crd whose names are accepted */
  constructor(crd: KubeObject, shared: CustomParts) {
    const outline = outlineOf(crd);
    const spec = part(outline, 'spec');
    const names = part(part(outline, 'status'), 'acceptedNames');
    this.group = text(spec, 'group');
    this.kind = text(names, 'kind');
    this.versions = versionsOf(crd, outline, shared);
    const stored = this.versions.findIndex(({ isStored }) => isStored);
    this.storage = this.versions[Math.max(0, stored)];
    this.converter = shared.converter(outline);
    const resource = text(names, 'plural');
    const { group, kind } = this;
    this.definition = {
      group,
      resource,
      singular: text(names, 'singular'),
      kind,
      listKind: text(names, 'listKind'),
      shortNames: texts(names, 'shortNames'),
      categories: texts(names, 'categories'),
      scope: text(spec, 'scope') === 'Namespaced' ? 'Namespaced' : 'Cluster',
      versions: this.versions.map((version) => this.versionDefinition(version)),
      verbs: ALL_VERBS,
      backing: {
        kind: 'stored',
        keyPrefix: customPrefix({ group, resource }).slice(1),
        version: { group, version: this.storage.name },
      },
      strategy: this.strategy(),
      subresources: this.versions.flatMap((version) => this.subresources(version)),
      selectable: this.selectable(),
      convert: (object, to) => this.convert(object, to),
      ...(this.converter.prepare === undefined
        ? {}
        : {
            prepareConversion: async (objects, to, slices) => {
              await this.converter.prepare?.(objects, `${this.group}/${to.version}`, slices);
            },
          }),
    };
  }

  version(name: string): CustomVersion | undefined {
    return this.versions.find((version) => version.name === name);
  }

  /** The object in another version. @throws ConversionNeeded where that means a call that was not made yet */
  private convert(object: KubeObject, { version: name }: GroupVersion): KubeObject {
    const version = this.version(name) ?? this.storage;
    if (object.apiVersion === version.apiVersion) return object;
    return version.shaped(this.converter.convert(object, version.apiVersion));
  }

  private versionDefinition(version: CustomVersion): VersionDefinition {
    const { deprecationWarning } = version;
    return {
      version: version.name,
      typeName: '',
      schema: version.struct,
      servedByDefault: version.served,
      read: (value, unknown) => version.read(value, unknown),
      readInSlices: (value, unknown, pace) => version.readInSlices(value, unknown, pace),
      defaults: (object) => this.shaped(object, version),
      defaultsInSlices: (object, pace) => this.shapedInSlices(object, version, pace),
      printer: customPrinter(version.columns),
      ...(deprecationWarning === undefined ? {} : { deprecationWarning }),
    };
  }

  /** What lies in the store may be of an older version. */
  private shaped(object: KubeObject, version: CustomVersion): KubeObject {
    if (object.apiVersion === version.apiVersion) return version.shaped(object);
    if (this.converter.calls) return object;
    return version.shaped(this.converter.convert(object, version.apiVersion));
  }

  private *shapedInSlices(object: KubeObject, version: CustomVersion, pace: Pace): Sliced<KubeObject> {
    if (object.apiVersion === version.apiVersion) return yield* version.shapedInSlices(object, pace);
    return this.shaped(object, version);
  }

  /** The version a request is about; the storage version for what the server does itself. */
  private versionOf({ info }: StrategyContext): CustomVersion {
    if (info === undefined || info.group !== this.group || info.resource !== this.definition.resource) {
      return this.storage;
    }
    return this.version(info.version) ?? this.storage;
  }

  private errors(
    object: KubeObject,
    old: KubeObject | undefined,
    context: StrategyContext,
    what: 'whole' | 'status',
    pace: Pace,
  ): Sliced<FieldError[]> {
    const version = this.versionOf(context);
    const before = old && this.checkable(old, version);
    return version.errors(this.checkable(object, version), before, what, pace, context.warn);
  }

  /** An object in the version it is checked in. A name that was drawn is another one when this is begun again. */
  private checkable(object: KubeObject, version: CustomVersion): KubeObject {
    const to = { group: this.group, version: version.name };
    const { generateName, name } = object.metadata;
    if (!this.converter.calls || generateName === undefined) return this.convert(object, to);
    return withMetadata(this.convert(withMetadata(object, { name: undefined }), to), { name });
  }

  /** What a strategy says of objects, in one go and in slices. */
  private checks(
    what: 'whole' | 'status',
  ): Required<Pick<Strategy, 'validate' | 'validateUpdate' | 'validateInSlices'>> {
    return {
      validate: (object, context) => finish(this.errors(object, undefined, context, what, WITHOUT_PAUSE)),
      validateUpdate: (object, old, context) =>
        finish(this.errors(object, old, context, what, WITHOUT_PAUSE)),
      validateInSlices: (object, old, context, pace) => this.errors(object, old, context, what, pace),
    };
  }

  private strategy(): Strategy {
    const status = this.versions.some((version) => version.hasStatus);
    return {
      allowUnconditionalUpdate: false,
      ...(status ? { resetFields: [['status']] } : {}),
      prepareForCreate: (object, context) =>
        firstGeneration(this.versionOf(context).hasStatus ? withoutField(object, 'status') : object),
      ...this.checks('whole'),
      prepareForUpdate: (object, old, context) => {
        const kept = this.versionOf(context).hasStatus ? keepField(object, old, 'status') : object;
        return withGeneration(kept, old);
      },
      warningsOnCreate: (object) => finalizerWarnings(object, undefined),
      warningsOnUpdate: (object, old) => finalizerWarnings(object, old),
    };
  }

  private subresources(version: CustomVersion): SubresourceDefinition[] {
    const versions = [version.name];
    const { scale } = version;
    return [
      ...(version.hasStatus
        ? [
            {
              name: 'status',
              verbs: UPDATE_VERBS,
              versions,
              backing: { kind: 'update' as const, strategy: this.statusStrategy() },
            },
          ]
        : []),
      ...(scale === undefined
        ? []
        : [
            {
              name: 'scale',
              kind: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
              typeName: 'autoscaling.v1.Scale',
              verbs: UPDATE_VERBS,
              versions,
              backing: {
                kind: 'scale' as const,
                fields: {
                  specReplicas: scale.spec,
                  custom: true,
                  statusReplicas: scale.status,
                  selector: (object: KubeObject) => selectorOf(object, scale.selector),
                },
              },
            },
          ]),
    ];
  }

  private statusStrategy(): SubresourceStrategy {
    return {
      resetFields: [['metadata'], ['spec']],
      allowUnconditionalUpdate: false,
      prepareForUpdate(object, old) {
        const { managedFields } = object.metadata;
        const kept = withMetadata(old, { managedFields });
        return keepField(kept, object, 'status');
      },
      ...this.checks('status'),
      warningsOnUpdate: (object, old) => finalizerWarnings(object, old),
    };
  }

  private selectable(): SelectableFields {
    const names = [...new Set(this.versions.flatMap((version) => version.selectable))].toSorted();
    const paths = names.map((name) => [name, name.split('.')] as const);
    return {
      names,
      values(object) {
        const values: Record<string, string> = {};
        for (const [name, path] of paths) {
          const value = valueAt(asJson(object), path);
          values[name] = scalarText(value);
        }
        return values;
      },
    };
  }
}

/** A definition but for its schemas. It stays while the object that it was read of goes, so its texts are its own. */
function outlineOf(crd: KubeObject): KubeObject {
  const spec = part(crd, 'spec');
  const versions = parts(spec, 'versions').map(({ schema: _schema, ...version }) => version);
  return asObject(owned(asJson({ ...crd, spec: { ...spec, versions } })));
}

/** Apart from the constructor, whose closures would keep the schemas alive. */
function versionsOf(crd: KubeObject, outline: KubeObject, shared: CustomParts): CustomVersion[] {
  const group = text(part(outline, 'spec'), 'group');
  const kind = text(part(part(outline, 'status'), 'acceptedNames'), 'kind');
  const versions = parts(part(outline, 'spec'), 'versions');
  return parts(part(crd, 'spec'), 'versions').map((version, at) => {
    const schema = new CustomSchema(part(part(version, 'schema'), 'openAPIV3Schema'), shared.compiled);
    return new CustomVersion(versions[at], group, kind, schema, shared, successorOf(versions[at], versions));
  });
}

/** What to use in place of a deprecated version: the most preferred one above it that is served and not deprecated. */
function successorOf(version: JsonObject, versions: readonly JsonObject[]): string | undefined {
  return versions
    .filter((other) => flag(other, 'served') && !flag(other, 'deprecated'))
    .map((other) => text(other, 'name'))
    .filter((name) => compareVersions(name, text(version, 'name')) < 0)
    .toSorted(compareVersions)
    .at(0);
}

function selectorOf(object: KubeObject, path: readonly string[] | undefined): string {
  const value = path === undefined ? undefined : valueAt(asJson(object), path);
  return typeof value === 'string' ? value : '';
}

function scalarText(value: Json | undefined): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'string'
    ? value
    : JSON.stringify(typeof value === 'bigint' ? Number(value) : value);
}

const META: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata']);

/** Anything outside of metadata counts as a change of what is wanted. */
function withGeneration(object: KubeObject, old: KubeObject): KubeObject {
  const before = old.metadata.generation ?? 0;
  for (const name of new Set([...Object.keys(object), ...Object.keys(old)])) {
    if (META.has(name)) continue;
    const inBoth = Object.hasOwn(object, name) && Object.hasOwn(old, name);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what lies under an object's names is JSON
    if (!inBoth || !sameJson(object[name] as Json, old[name] as Json)) {
      return withMetadata(object, { generation: before + 1 });
    }
  }
  return withMetadata(object, { generation: before === 0 ? undefined : before });
}

/** Finalizers without a domain are Kubernetes' own. */
function finalizerWarnings(object: KubeObject, old: KubeObject | undefined): string[] {
  const before = new Set(old?.metadata.finalizers);
  return [...new Set(object.metadata.finalizers)]
    .filter((name) => !before.has(name) && !name.includes('/') && !OWN_FINALIZERS.has(name))
    .toSorted()
    .map(
      (name) =>
        `metadata.finalizers: ${JSON.stringify(name)}: prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers`,
    );
}

const OWN_FINALIZERS: ReadonlySet<string> = new Set(['orphan', 'foregroundDeletion', 'kubernetes']);
