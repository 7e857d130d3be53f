/**
 * What a strategic merge patch asks of a type: whether a member is merged, by which key, and what its type is in Go,
 * since the original walks Go types and says so in its errors.
 *
 * Modelled on apimachinery's strategicpatch PatchMetaFromStruct.
 */

import { goQuote } from '@keelson/base';

import type { FieldSchema, StructSchema, TypeSchema } from '../schema/type-schema.ts';
import { failedPatch } from './patch-error.ts';

/** A Go type on the way. */
export interface GoType {
  readonly type: TypeSchema;
  /** The type is a pointer to this. */
  readonly pointer: boolean;
}

/** How a member is merged. */
export interface MemberRule {
  /** Of the member, or of the items where it is a list. */
  readonly type: GoType;
  /** `merge` and `replace` as they are declared; undefined where nothing is said: lists are replaced, objects merged. */
  readonly strategy: 'merge' | 'replace' | undefined;
  /** Empty for lists of scalars. */
  readonly mergeKey: string;
}

/**
 * Members that are objects and declared to be replaced. The fact table does not tell that from nothing being said,
 * which for an object means merging; this one is the only one of its kind in the API.
 */
const REPLACED: ReadonlySet<string> = new Set(['policy.v1.PodDisruptionBudgetSpec.selector']);

/** Rule for a member where object and patch both have an object. @throws ApiError */
export function objectRule(parent: GoType, name: string): MemberRule {
  const { struct, field } = lookUp(parent, name);
  return {
    type: { type: field.type, pointer: field.pointer },
    strategy: strategyOf(struct, field),
    mergeKey: field.patchMergeKey,
  };
}

/** Rule for a member where object and patch both have a list. @throws ApiError */
export function listRule(parent: GoType, name: string): MemberRule {
  const { struct, field } = lookUp(parent, name);
  const strategy = strategyOf(struct, field);
  const mergeKey = field.patchMergeKey;
  const { type, pointer } = field;
  if (type.kind === 'list') {
    if (!pointer && type.element.kind === 'list') throw failedPatch('unexpected slice of slice');
    return { type: { type: type.element, pointer: false }, strategy, mergeKey };
  }
  if (!pointer) throw failedPatch(`expected slice or array type, but got: ${kindName(parent)}`);
  return { type: { type, pointer: false }, strategy, mergeKey };
}

function strategyOf(struct: StructSchema, field: FieldSchema): MemberRule['strategy'] {
  if (field.patchStrategy === 'merge') return 'merge';
  return REPLACED.has(`${struct.name}.${field.name}`) ? 'replace' : undefined;
}

function lookUp(parent: GoType, name: string): { struct: StructSchema; field: FieldSchema } {
  const { type } = parent;
  if (type.kind !== 'struct') {
    const untyped = goStructName(type);
    if (untyped !== undefined) throw noField(untyped, name);
    throw failedPatch(
      `merging an object in json but data type is not struct, instead is: ${kindName({ type, pointer: false })}`,
    );
  }
  const field = type.fields.get(name) ?? inAnyCase(type, name);
  if (field === undefined) throw noField(type.name.slice(type.name.lastIndexOf('.') + 1), name);
  return { struct: type, field };
}

function noField(struct: string, name: string): Error {
  return failedPatch(`unable to find api field in struct ${struct} for the json field ${goQuote(name)}`);
}

function inAnyCase(struct: StructSchema, name: string): FieldSchema | undefined {
  const wanted = name.toLowerCase();
  for (const field of struct.fields.values()) if (field.name.toLowerCase() === wanted) return field;
  return undefined;
}

/** The name of a Go struct that shows no fields of its own; undefined for what is no struct in Go. */
function goStructName(type: TypeSchema): string | undefined {
  if (type.kind === 'scalar') {
    switch (type.scalar) {
      case 'time':
        return 'Time';
      case 'microTime':
        return 'MicroTime';
      case 'duration':
        return 'Duration';
      case 'quantity':
        return 'Quantity';
      case 'intOrString':
        return 'IntOrString';
      default:
        return undefined;
    }
  }
  if (type.kind !== 'untyped') return undefined;
  switch (type.form) {
    case 'schemaOrArray':
      return 'JSONSchemaPropsOrArray';
    case 'schemaOrBool':
      return 'JSONSchemaPropsOrBool';
    case 'schemaOrStringArray':
      return 'JSONSchemaPropsOrStringArray';
    default:
      return 'RawExtension';
  }
}

/** Go's word for what a type is. */
export function kindName({ type, pointer }: GoType): string {
  if (pointer) return 'ptr';
  switch (type.kind) {
    case 'list':
      return 'slice';
    case 'map':
      return 'map';
    case 'scalar':
      return goStructName(type) === undefined ? scalarKind(type.scalar) : 'struct';
    default:
      return 'struct';
  }
}

function scalarKind(scalar: string): string {
  if (scalar === 'boolean') return 'bool';
  return scalar === 'bytes' ? 'slice' : scalar;
}
