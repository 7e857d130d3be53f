/**
 * The types of the fact table as OpenAPI describes them, in the words of version 2 and of version 3. Both say the same;
 * version 3 adds what Kubernetes leaves out of version 2 (defaults, enums, unions of scalars) and wraps a reference
 * that has something beside it. Pure: a definition is made when it is asked for and kept nowhere here.
 *
 * Modelled on kube-openapi's generators, builder and builder3.
 */

import { assert } from '@keelson/base';

import type { Json, JsonObject } from '../api/json.ts';
import type { FieldSchema, ListSchema, MapSchema, StructSchema, TypeSchema } from '../schema/type-schema.ts';
import type { TypeTable } from '../schema/type-table.ts';
import { definitionName, kindOfType, NAMED } from './definition-names.ts';
import { ENUMS } from './gen/enums.ts';
import type { Prose } from './prose.ts';
import { namedDefinition, OPTIONS_VERSIONS, SPOKEN_MARKS, UNIONS } from './special-definitions.ts';

export type Dialect = 'v2' | 'v3';

/** One definition and what it needs. */
export interface Definition {
  readonly schema: JsonObject;
  /** Definitions it refers to, by key. */
  readonly references: readonly string[];
}

/** A schema under construction. */
type Draft = Record<string, Json>;

/** Definitions of custom resources, by whoever keeps their schemas. */
export interface CustomDefinitions {
  /** The definition of this name (`com.example.v1.CronTab`); undefined where nothing is known of it. */
  define(name: string, dialect: Dialect): Definition | undefined;
  /** Another text whenever the definition of this name is another. */
  revision(name: string): string;
}

/**
 * A key is a type of the fact table (`core.v1.Pod`), one of NAMED's values, or a custom resource's name.
 */
export class Definitions {
  private readonly types: TypeTable;
  private readonly prose: Prose;
  private readonly custom: CustomDefinitions | undefined;
  private readonly dialect: Dialect;
  private readonly prefix: string;
  private readonly enums: ReadonlyMap<string, readonly string[]>;

  constructor(types: TypeTable, prose: Prose, dialect: Dialect, custom?: CustomDefinitions) {
    this.types = types;
    this.prose = prose;
    this.custom = custom;
    this.dialect = dialect;
    this.enums = dialect === 'v2' ? new Map() : enumTable();
    this.prefix = dialect === 'v2' ? '#/definitions/' : '#/components/schemas/';
  }

  /** A reference to the definition of a key. */
  reference(key: string): JsonObject {
    return { $ref: this.prefix + nameOf(key) };
  }

  define(key: string): Definition {
    const named = namedDefinition(key, this.dialect);
    if (named !== undefined) return { schema: withText(named, this.prose.of(key, '')), references: [] };
    if (this.types.has(key)) return this.struct(this.types.struct(key));
    const custom = this.custom?.define(key, this.dialect);
    if (custom !== undefined) return custom;
    assert(nameOf(key) === key, `no type ${key} for OpenAPI`);
    return UNKNOWN;
  }

  private struct(type: StructSchema): Definition {
    const references = new Set<string>();
    const owner = type.name;
    const properties: Draft = {};
    const required: string[] = [];
    for (const [name, field] of [...type.fields].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      properties[name] = this.property(type, field, references);
    }
    for (const field of type.fields.values()) if (field.required) required.push(field.name);
    const unions = UNIONS[owner];
    const kinds = groupVersionKinds(type);
    const schema: Draft = {
      type: 'object',
      ...(type.fields.size > 0 && { properties }),
      ...(required.length > 0 && { required }),
      ...(kinds !== undefined && { 'x-kubernetes-group-version-kind': kinds }),
      ...(type.atomic && { 'x-kubernetes-map-type': 'atomic' }),
      ...(unions !== undefined && { 'x-kubernetes-unions': unions }),
    };
    return { schema: withText(schema, this.prose.of(owner, '')), references: [...references] };
  }

  private property(holder: StructSchema, field: FieldSchema, references: Set<string>): JsonObject {
    const owner = holder.name;
    const { type } = field;
    const schema = this.typed(owner, field, type, references);
    if (this.dialect === 'v3') {
      const fallback = field.default ?? (field.pointer ? undefined : zeroOf(type, field.omitEmpty));
      if (fallback !== undefined) schema['default'] = fallback;
    }
    if (field.saidAtomic === true) schema['x-kubernetes-list-type'] = 'atomic';
    if (type.kind === 'list') addListMarks(schema, type);
    if (type.kind === 'map' && type.atomic) schema['x-kubernetes-map-type'] = 'atomic';
    if (field.patchMergeKey !== '') schema['x-kubernetes-patch-merge-key'] = field.patchMergeKey;
    const strategy = [
      ...(field.patchStrategy === 'merge' ? ['merge'] : []),
      ...(field.retainKeys ? ['retainKeys'] : []),
    ].join(',');
    if (strategy !== '') schema['x-kubernetes-patch-strategy'] = strategy;
    Object.assign(schema, SPOKEN_MARKS[`${owner}.${field.name}`]);
    const text =
      this.textOf(holder, field.name) ?? (isKind(holder) ? this.prose.ofKinds(field.name) : undefined);
    return this.wrapped(withText(schema, text));
  }

  /** What stands for a value of a type, without what its field says of it. */
  private typed(owner: string, field: FieldSchema, type: TypeSchema, references: Set<string>): Draft {
    switch (type.kind) {
      case 'struct':
        return this.refer(type.name, references);
      case 'list':
        return { type: 'array', items: this.element(owner, field, type, references) };
      case 'map':
        return { type: 'object', additionalProperties: this.element(owner, field, type, references) };
      case 'untyped':
        return this.refer(untypedKey(owner, type.form), references);
      case 'scalar': {
        const named = NAMED_SCALARS[type.scalar];
        if (named !== undefined) return this.refer(named, references);
        const values = this.enumOf(owner, field);
        return { ...SCALARS[type.scalar], ...(values !== undefined && { enum: values }) };
      }
    }
  }

  private element(
    owner: string,
    field: FieldSchema,
    holder: ListSchema | MapSchema,
    references: Set<string>,
  ): JsonObject {
    const type = holder.kind === 'list' ? holder.element : holder.value;
    const schema = this.typed(owner, field, type, references);
    if (this.dialect === 'v3') {
      const fallback = zeroOf(type, false);
      if (fallback !== undefined) schema['default'] = fallback;
    }
    return this.wrapped(schema);
  }

  /** The values of a field's type, where it has declared constants; the type is of the owner's package or of core. */
  private enumOf(owner: string, { goType }: FieldSchema): readonly string[] | undefined {
    if (goType === undefined) return undefined;
    const type = /[\w.]+$/.exec(goType)?.[0] ?? '';
    return this.enums.get(`${owner.slice(0, owner.indexOf('.'))}.${type}`) ?? this.enums.get(`core.${type}`);
  }

  private refer(key: string, references: Set<string>): Draft {
    references.add(key);
    return { ...this.reference(key) };
  }

  /** What is said of a field, by its struct or by the one that is inlined there. */
  private textOf({ name, inlined }: StructSchema, field: string): string | undefined {
    let text = this.prose.of(name, field);
    for (const { type } of inlined) text ??= this.textOf(type, field);
    return text;
  }

  /** In version 3 nothing may stand beside a reference. */
  private wrapped(schema: JsonObject): JsonObject {
    const { $ref: reference, ...rest } = schema;
    if (this.dialect === 'v2' || reference === undefined || Object.keys(rest).length === 0) return schema;
    return { allOf: [{ $ref: reference }], ...rest };
  }
}

function withText(schema: JsonObject, text: string | undefined): Draft {
  return text === undefined ? { ...schema } : { description: text, ...schema };
}

/** Of a custom resource that nobody tells the schema of. */
const UNKNOWN: Definition = { schema: { type: 'object' }, references: [] };

/** The name under which a document has the definition of a key. */
export function nameOf(key: string): string {
  return /^\w+\.\w+\.\w+$/.test(key) ? definitionName(key) : key;
}

const SCALARS: Readonly<Record<string, JsonObject>> = {
  string: { type: 'string' },
  boolean: { type: 'boolean' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  uint32: { type: 'integer', format: 'int64' },
  uint64: { type: 'integer', format: 'int64' },
  float32: { type: 'number', format: 'float' },
  float64: { type: 'number', format: 'double' },
  bytes: { type: 'string', format: 'byte' },
};

const NAMED_SCALARS: Readonly<Record<string, string>> = {
  time: NAMED.time,
  microTime: NAMED.microTime,
  duration: NAMED.duration,
  quantity: NAMED.quantity,
  intOrString: NAMED.intOrString,
};

const UNION_FORMS: Readonly<Record<string, string>> = {
  schemaOrArray: 'JSONSchemaPropsOrArray',
  schemaOrBool: 'JSONSchemaPropsOrBool',
  schemaOrStringArray: 'JSONSchemaPropsOrStringArray',
};

/** Which free form it is goes by who holds it: the fact table does not tell them apart. */
function untypedKey(owner: string, form: string): string {
  const own = owner.slice(0, owner.lastIndexOf('.') + 1);
  const union = UNION_FORMS[form];
  if (union !== undefined) return definitionName(own + union);
  if (own.startsWith('apiextensions.') && !owner.endsWith('Review')) return definitionName(`${own}JSON`);
  return owner === 'meta.v1.ManagedFieldsEntry' ? NAMED.fieldsV1 : NAMED.rawExtension;
}

function addListMarks(schema: Draft, type: ListSchema): void {
  if (type.listType !== 'atomic') schema['x-kubernetes-list-type'] = type.listType;
  if (type.keys.length > 0) schema['x-kubernetes-list-map-keys'] = type.keys;
}

/** What Go has in a field that nobody set, and writes: such a value is the default version 3 names. */
function zeroOf(type: TypeSchema, omitEmpty: boolean): Json | undefined {
  if (type.kind === 'struct') return {};
  if (type.kind !== 'scalar' || omitEmpty) return undefined;
  switch (SCALARS[type.scalar]?.['type']) {
    case 'string':
      return type.scalar === 'bytes' ? undefined : '';
    case 'boolean':
      return false;
    case 'integer':
    case 'number':
      return 0;
    default:
      return undefined;
  }
}

/** Values of string types with declared constants. */
function enumTable(): Map<string, readonly string[]> {
  const lines = ENUMS.split('\n').filter((line) => line !== '');
  return new Map(
    lines.map((line) => {
      const [name, values] = line.split('\t');
      return [name, values.split('|')];
    }),
  );
}

/** The kinds a type is known as: its own where it has apiVersion and kind, every group's for options and watch events. */
function groupVersionKinds(type: StructSchema): Json | undefined {
  const own = kindOfType(type.name);
  if (type.name === 'meta.v1.DeleteOptions' || type.name === 'meta.v1.WatchEvent') {
    return OPTIONS_VERSIONS.map(({ group, version }) => ({ group, version, kind: own.kind }));
  }
  return isKind(type) ? [{ ...own }] : undefined;
}

function isKind({ inlined }: StructSchema): boolean {
  return inlined.some(({ type }) => type.name === 'meta.v1.TypeMeta');
}
