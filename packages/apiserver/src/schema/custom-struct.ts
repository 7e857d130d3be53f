/**
 * A custom resource's schema as the tree that patches and server-side apply walk for built-in kinds too: maps, lists
 * with keys, sets, what is owned as a whole, what is deduced since nobody describes it. Made of a structural schema on
 * first use.
 */

import type { FieldSchema, ListSchema, ScalarName, StructSchema, TypeSchema } from './type-schema.ts';
import type { Structural } from './structural.ts';

const DEDUCED: TypeSchema = { kind: 'untyped', form: 'none' };
const TEXT: TypeSchema = { kind: 'scalar', scalar: 'string' };

const SCALARS: Readonly<Record<string, ScalarName>> = {
  string: 'string',
  integer: 'int64',
  number: 'float64',
  boolean: 'boolean',
};

/** The type of a custom resource, whose schema is asked for when the type is. */
export class CustomStruct implements StructSchema {
  readonly kind = 'struct';
  readonly name = '';
  readonly own: readonly FieldSchema[] = [];
  readonly inlined = [];
  readonly atomic = false;
  private readonly schema: () => Structural;
  private readonly objectMeta: () => StructSchema;
  private made: { readonly of: Structural; readonly fields: ReadonlyMap<string, FieldSchema> } | undefined;

  /** @param objectMeta the type of metadata */
  constructor(schema: () => Structural, objectMeta: () => StructSchema) {
    this.schema = schema;
    this.objectMeta = objectMeta;
  }

  get keepsUnknown(): boolean {
    return this.schema().keepsUnknown;
  }

  get fields(): ReadonlyMap<string, FieldSchema> {
    const schema = this.schema();
    if (this.made?.of !== schema)
      this.made = { of: schema, fields: objectFields(schema, true, this.objectMeta) };
    return this.made.fields;
  }
}

function objectFields(
  schema: Structural,
  whole: boolean,
  objectMeta: () => StructSchema,
): ReadonlyMap<string, FieldSchema> {
  const fields = new Map<string, FieldSchema>();
  if (whole || schema.embedded) {
    fields.set('apiVersion', field('apiVersion', TEXT));
    fields.set('kind', field('kind', TEXT));
    fields.set('metadata', field('metadata', objectMeta()));
  }
  for (const [name, node] of schema.properties) {
    if (fields.has(name)) continue;
    fields.set(name, field(name, typeOf(node, objectMeta), node, schema.required.includes(name)));
  }
  return fields;
}

function field(name: string, type: TypeSchema, node?: Structural, required = false): FieldSchema {
  return {
    name,
    type,
    number: 0,
    goType: undefined,
    pointer: true,
    omitEmpty: true,
    omitZero: false,
    required,
    ...(node?.default === undefined ? {} : { default: node.default }),
    patchStrategy: 'replace',
    retainKeys: false,
    patchMergeKey: '',
  };
}

function typeOf(node: Structural, objectMeta: () => StructSchema): TypeSchema {
  if (node.intOrString) return { kind: 'scalar', scalar: 'intOrString' };
  switch (node.type) {
    case 'array':
      return listOf(node, objectMeta);
    case 'object': {
      const atomic = node.mapType === 'atomic';
      if (node.hasAdditional && node.properties.size === 0) {
        const value = node.additional === undefined ? DEDUCED : typeOf(node.additional, objectMeta);
        return { kind: 'map', value, atomic };
      }
      if (node.properties.size === 0 && !node.embedded && !atomic) return DEDUCED;
      return {
        kind: 'struct',
        name: '',
        fields: objectFields(node, false, objectMeta),
        own: [],
        inlined: [],
        atomic,
        keepsUnknown: node.keepsUnknown,
      };
    }
    default: {
      const scalar = SCALARS[node.type];
      return scalar === undefined ? DEDUCED : { kind: 'scalar', scalar };
    }
  }
}

function listOf(node: Structural, objectMeta: () => StructSchema): ListSchema {
  const element = node.items === undefined ? DEDUCED : typeOf(node.items, objectMeta);
  const { listType } = node;
  return {
    kind: 'list',
    element,
    listType: listType === 'set' || listType === 'map' ? listType : 'atomic',
    keys: listType === 'map' ? node.listMapKeys : [],
    boxed: false,
  };
}
