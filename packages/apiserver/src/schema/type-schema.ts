/**
 * What a type of the API looks like to the codec, the patches, field validation and OpenAPI: one tree of nodes
 * for built-in kinds (from the generated fact table) and for custom resources (from their structural schema).
 * Types only, no behaviour: who walks the tree keeps his own rules.
 *
 * Nodes are shared and may be recursive (JSONSchemaProps holds itself), so a field's type is a getter, made on
 * first use; two reads give the same node.
 */

import type { Json } from '../api/json.ts';

/** The scalars, by their form in JSON and protobuf. */
export type ScalarName =
  | 'string'
  | 'boolean'
  | 'int32'
  | 'int64'
  | 'uint32'
  | 'uint64'
  | 'float32'
  | 'float64'
  /** base64 in JSON */
  | 'bytes'
  /** RFC 3339 at second precision; message {1 seconds, 2 nanos} */
  | 'time'
  /** RFC 3339 at microsecond precision */
  | 'microTime'
  /** Go's duration text in JSON, nanoseconds in protobuf */
  | 'duration'
  /** a quantity in canonical form; message {1 string} */
  | 'quantity'
  /** an int32 or a string; message {1 type, 2 int, 3 string} */
  | 'intOrString';

export interface ScalarSchema {
  readonly kind: 'scalar';
  readonly scalar: ScalarName;
  /** The values allowed, for a Go string type with declared constants. */
  readonly enum?: readonly string[];
}

/**
 * A list. `set`: each value once, owned one by one; `map`: items are told apart by the fields `keys`;
 * `atomic`: owned and replaced as a whole (what a list without a mark is).
 */
export interface ListSchema {
  readonly kind: 'list';
  readonly element: TypeSchema;
  readonly listType: 'atomic' | 'set' | 'map';
  readonly keys: readonly string[];
  /** In protobuf the list is a message of its own, {1 items}: a Go slice type with a name (ExtraValue, Verbs). */
  readonly boxed: boolean;
}

/** A map from text to values; `atomic`: owned and replaced as a whole. */
export interface MapSchema {
  readonly kind: 'map';
  readonly value: TypeSchema;
  readonly atomic: boolean;
}

/** An object with named fields; `atomic`: owned and replaced as a whole (x-kubernetes-map-type). */
export interface StructSchema {
  readonly kind: 'struct';
  /** The type's name in the fact table, `core.v1.PodSpec`; empty for a node of a custom resource. */
  readonly name: string;
  /** All fields of the JSON object in Go's order, those of inlined structs at their place. */
  readonly fields: ReadonlyMap<string, FieldSchema>;
  /** The fields that are not inlined, and the inlined structs: in protobuf a struct lies where its own number says. */
  readonly own: readonly FieldSchema[];
  readonly inlined: readonly InlinedStruct[];
  readonly atomic: boolean;
  /** Whether fields that are not named are kept (x-kubernetes-preserve-unknown-fields); false for built-in kinds. */
  readonly keepsUnknown: boolean;
}

/** A struct whose fields lie in the JSON object of the one that holds it (VolumeSource in Volume). */
export interface InlinedStruct {
  /** Protobuf field number; 0 for TypeMeta, which protobuf carries in the envelope. */
  readonly number: number;
  readonly type: StructSchema;
}

/** Any JSON: RawExtension, JSON, FieldsV1, a preserved subtree. Its lists are atomic, its objects granular. */
export interface UntypedSchema {
  readonly kind: 'untyped';
  /**
   * How it lies in protobuf. `raw`: message {1 raw} with JSON in it; `schemaOrArray`, `schemaOrBool`,
   * `schemaOrStringArray`: the unions of JSONSchemaProps; `none`: the type has no protobuf form.
   */
  readonly form: 'raw' | 'schemaOrArray' | 'schemaOrBool' | 'schemaOrStringArray' | 'none';
}

export type TypeSchema = ScalarSchema | ListSchema | MapSchema | StructSchema | UntypedSchema;

/** A field of a struct. */
export interface FieldSchema {
  readonly name: string;
  readonly type: TypeSchema;
  /** Protobuf field number; 0 where the type has no protobuf form. */
  readonly number: number;
  /** Go's name of the type, where its form does not tell it (`v1.Protocol`, `v1.ResourceList`); messages name it. */
  readonly goType: string | undefined;
  /** A Go pointer: an explicit 0, false or "" is kept and written, in both forms. */
  readonly pointer: boolean;
  /** omitempty: an empty value is left out of JSON. Without it a zero is written (`"status": {}`, `"replicas": 0`). */
  readonly omitEmpty: boolean;
  /** omitzero: a zero struct is left out as well, which omitempty does not do. */
  readonly omitZero: boolean;
  readonly required: boolean;
  /** The API says itself that the list is atomic: OpenAPI repeats it, and is silent where nothing is said. */
  readonly saidAtomic?: boolean;
  /** Default the API's own marks state ("+default"), where there is one. */
  readonly default?: Json;
  /** How a strategic merge patch treats the field; `replace` where nothing is said. */
  readonly patchStrategy: 'replace' | 'merge';
  /** retainKeys: the patch's $retainKeys lists all fields that stay. */
  readonly retainKeys: boolean;
  /** The field that tells the items of a merged list apart; empty for lists of scalars and for other types. */
  readonly patchMergeKey: string;
}
