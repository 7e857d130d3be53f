/**
 * One version of a custom resource: what a client's JSON becomes when it is read, what a stored object becomes when it
 * is shown, and what is wrong with one. Objects are pruned and filled in by this version's schema and no other.
 *
 * Modelled on apiextensions-apiserver's crdHandler and registry/customresource.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import type { KubeObject } from '../api/meta.ts';
import type { FieldError } from '../api/status.ts';
import type { Pace, Sliced } from '../api/sliced.ts';
import type { RegexCache } from '../cel/regex.ts';
import { asJson, asObject } from '../codec/object-codec.ts';
import { conform, TypedError } from '../codec/typed.ts';
import { CustomStruct } from '../schema/custom-struct.ts';
import { withDefaults, withDefaultsInSlices } from '../schema/default.ts';
import { prune, pruneInSlices } from '../schema/prune.ts';
import type { Structural } from '../schema/structural.ts';
import type { StructSchema } from '../schema/type-schema.ts';
import { FieldErrors } from '../validation/field-errors.ts';
import { FieldPath } from '../validation/field-path.ts';
import { flag, part, partOf, parts, text, textOf } from '../validation/value.ts';
import type { CustomSchema } from './custom-schema.ts';
import { embeddedErrors, readEmbedded } from './embedded.ts';
import { pathNames, valueAt } from './field-paths.ts';
import { goType } from './go-form.ts';
import { checkListTypes } from './list-types.ts';
import type { Rules } from './rules.ts';
import { textOf as jsonOf } from './correlated.ts';
import { valueErrors, type ValueCheck } from './validate-value.ts';

/** What versions share. */
export interface VersionParts {
  readonly patterns: RegexCache;
  readonly rules: Rules;
  objectMeta(): StructSchema;
}

/** How scale reads and writes an object, as names. */
export interface ScalePaths {
  readonly spec: readonly string[];
  readonly status: readonly string[];
  readonly selector: readonly string[] | undefined;
}

const INT32_MAX = 2_147_483_647;
const BLOCKING: ReadonlySet<FieldError['type']> = new Set([
  'FieldValueNotSupported',
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
]);

export class CustomVersion {
  readonly name: string;
  /** `stable.example.com/v1`. */
  readonly apiVersion: string;
  readonly kind: string;
  readonly served: boolean;
  /** Objects lie in the store in this version. */
  readonly isStored: boolean;
  readonly hasStatus: boolean;
  readonly scale: ScalePaths | undefined;
  readonly columns: readonly JsonObject[];
  /** Paths without the leading point, `spec.color`. */
  readonly selectable: readonly string[];
  readonly deprecationWarning: string | undefined;
  readonly schema: CustomSchema;
  readonly struct: StructSchema;
  private readonly parts: VersionParts;

  constructor(
    version: JsonObject,
    group: string,
    kind: string,
    schema: CustomSchema,
    shared: VersionParts,
    /** The version to use in its place where it is deprecated. */
    successor?: string,
  ) {
    this.name = text(version, 'name');
    this.apiVersion = `${group}/${this.name}`;
    this.kind = kind;
    this.served = flag(version, 'served');
    this.isStored = flag(version, 'storage');
    const subresources = part(version, 'subresources');
    this.hasStatus = partOf(subresources, 'status') !== undefined;
    this.scale = scaleOf(partOf(subresources, 'scale'));
    this.columns = parts(version, 'additionalPrinterColumns');
    this.selectable = parts(version, 'selectableFields').map((field) =>
      text(field, 'jsonPath').replace(/^\./, ''),
    );
    this.deprecationWarning = flag(version, 'deprecated')
      ? (textOf(version, 'deprecationWarning') ??
        deprecated(this.apiVersion, kind, successor && `${group}/${successor}`))
      : undefined;
    this.schema = schema;
    this.parts = shared;
    this.struct = new CustomStruct(
      () => this.structural,
      () => shared.objectMeta(),
    );
  }

  get structural(): Structural {
    return this.schema.structural();
  }

  /**
   * A client's JSON as an object: metadata in Go's form, without what nobody named.
   *
   * @param unknown told the path of each member that is left out
   * @throws TypedError for metadata that is none
   */
  read(value: JsonObject, unknown?: (path: string) => void): JsonObject {
    const { apiVersion: _apiVersion, kind: _kind, metadata, ...rest } = value;
    return this.readRest(metadata, prune(this.structural, rest, true, unknown), unknown);
  }

  /** The same, which can be put down. @throws TypedError */
  *readInSlices(
    value: JsonObject,
    unknown: ((path: string) => void) | undefined,
    pace: Pace,
  ): Sliced<JsonObject> {
    const { apiVersion: _apiVersion, kind: _kind, metadata, ...rest } = value;
    return this.readRest(metadata, yield* pruneInSlices(this.structural, rest, pace, unknown), unknown);
  }

  /** @param pruned without apiVersion, kind and metadata */
  private readRest(
    metadata: Json | undefined,
    pruned: JsonObject,
    unknown: ((path: string) => void) | undefined,
  ): JsonObject {
    const objectMeta = this.parts.objectMeta();
    const whole = readEmbedded(this.structural, pruned, '', { objectMeta, unknown });
    return {
      apiVersion: this.apiVersion,
      kind: this.kind,
      metadata: this.metadata(metadata ?? {}, unknown),
      ...(isJsonObject(whole) ? whole : pruned),
    };
  }

  private metadata(value: Json, unknown?: (path: string) => void): JsonObject {
    if (!isJsonObject(value)) {
      throw new TypedError(
        `json: cannot unmarshal ${Array.isArray(value) ? 'array' : typeof value} into Go value of type v1.ObjectMeta`,
      );
    }
    const objectMeta = this.parts.objectMeta();
    const typed = conform(objectMeta, value, {
      schemaProps: objectMeta,
      ...(unknown === undefined ? {} : { unknown: (path: string) => unknown(`metadata.${path}`) }),
    });
    const { creationTimestamp, ...others } = typed;
    return creationTimestamp === null || creationTimestamp === undefined ? others : typed;
  }

  /** An object of this version as it is shown and worked on: pruned, with defaults. */
  shaped(object: KubeObject): KubeObject {
    const value = asJson(object);
    const { structural } = this;
    const next = withDefaults(structural, prune(structural, value, true));
    return next === value ? object : asObject(next);
  }

  /** The same as shaped(), which can be put down. */
  *shapedInSlices(object: KubeObject, pace: Pace): Sliced<KubeObject> {
    const value = asJson(object);
    const { structural } = this;
    const pruned = yield* pruneInSlices(structural, value, pace);
    const next = yield* withDefaultsInSlices(structural, pruned, pace);
    return next === value ? object : asObject(next);
  }

  /** All that is wrong with an object of this version beyond its metadata. */
  *errors(
    object: KubeObject,
    old: KubeObject | undefined,
    part_: 'whole' | 'status',
    pace: Pace,
    warn?: (text: string) => void,
  ): Sliced<FieldError[]> {
    const { structural, parts: shared } = this;
    const { patterns } = shared;
    const value = asJson(object);
    const before = old === undefined ? undefined : asJson(old);
    const errors = new FieldErrors();
    const looked =
      part_ === 'whole'
        ? { schema: structural, value, old: before, patterns }
        : statusOf(structural, value, before, patterns);
    if (looked !== undefined) errors.list.push(...(yield* valueErrors(looked, pace)));
    this.checkScale(errors, value, part_);
    if (structural.holdsEmbedded) {
      yield* embeddedErrors({ errors, objectMeta: shared.objectMeta(), pace }, structural, value, '');
    }
    if (before === undefined || (yield* isSound(structural, before, pace))) {
      yield* checkListTypes(errors, structural, value, pace);
    }
    if (errors.list.some(({ type }) => BLOCKING.has(type))) {
      if (structural.holdsRules) {
        errors.invalid(
          FieldPath.of('<nil>'),
          null,
          'some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
        );
      }
    } else {
      errors.list.push(
        ...(yield* shared.rules.evaluate({ schema: structural, value, old: before, warn }, pace)),
      );
    }
    return errors.list;
  }

  private checkScale(errors: FieldErrors, value: JsonObject, part_: 'whole' | 'status'): void {
    const { scale } = this;
    if (scale === undefined) return;
    if (part_ === 'whole') checkReplicas(errors, value, scale.spec);
    checkReplicas(errors, value, scale.status);
    if (scale.selector === undefined) return;
    const selector = valueAt(value, scale.selector);
    if (selector !== undefined && typeof selector !== 'string') {
      errors.invalid(
        FieldPath.of(`.${scale.selector.join('.')}`),
        '',
        `.${scale.selector.join('.')} accessor error: ${plainText(selector)} is of the type ${goType(selector)}, expected string`,
      );
    }
  }
}

/** Of a status that is written nothing else is looked at, by a schema of its own. */
function statusOf(
  { properties }: Structural,
  value: JsonObject,
  old: JsonObject | undefined,
  patterns: RegexCache,
): ValueCheck | undefined {
  const schema = properties.get('status');
  const status = value['status'];
  if (schema === undefined || status === undefined) return undefined;
  return { schema, value: status, old: old?.['status'], at: 'status', patterns };
}

function* isSound(schema: Structural, value: JsonObject, pace: Pace): Sliced<boolean> {
  const errors = new FieldErrors();
  yield* checkListTypes(errors, schema, value, pace);
  return errors.size === 0;
}

function checkReplicas(errors: FieldErrors, value: JsonObject, names: readonly string[]): void {
  const replicas = valueAt(value, names);
  if (replicas === undefined) return;
  const path = FieldPath.of(`.${names.join('.')}`);
  if (typeof replicas !== 'number' || !Number.isInteger(replicas)) {
    errors.invalid(
      path,
      0,
      `.${names.join('.')} accessor error: ${plainText(replicas)} is of the type ${goType(replicas)}, expected int64`,
    );
  } else if (replicas < 0) {
    errors.invalid(path, replicas, 'should be a non-negative integer');
  } else if (replicas > INT32_MAX) {
    errors.invalid(path, replicas, `should be less than or equal to ${INT32_MAX}`);
  }
}

/** As Go prints it: a text without quotes. */
function plainText(value: Json): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return `[${value.map(plainText).join(' ')}]`;
  if (!isJsonObject(value)) return value === null ? '<nil>' : jsonOf(value);
  const members = Object.keys(value).toSorted();
  return `map[${members.map((name) => `${name}:${plainText(value[name])}`).join(' ')}]`;
}

function deprecated(apiVersion: string, kind: string, successor: string | undefined): string {
  const use = successor === undefined ? '' : `; use ${successor} ${kind}`;
  return `${apiVersion} ${kind} is deprecated${use}`;
}

function scaleOf(scale: JsonObject | undefined): ScalePaths | undefined {
  if (scale === undefined) return undefined;
  const selector = text(scale, 'labelSelectorPath');
  return {
    spec: pathNames(text(scale, 'specReplicasPath')),
    status: pathNames(text(scale, 'statusReplicasPath')),
    selector: selector === '' ? undefined : pathNames(selector),
  };
}
