/**
 * Reads the test data of @bufbuild/cel-spec (JSON of cel.expr's messages) into the words of the cel room: types,
 * bindings, expected values, and the trees CEL-go prints.
 */

import {
  ANY,
  BOOL,
  BYTES,
  CelType,
  DOUBLE,
  DURATION,
  DYN,
  INT,
  listOf,
  mapOf,
  NULL,
  opaque,
  STRING,
  structOf,
  TIMESTAMP,
  typeOfType,
  typeParam,
  UINT,
  wrapperOf,
  TYPE,
  NAMED_TYPES,
} from '../src/cel/types.ts';
import { parseDuration, parseTimestamp } from '../src/cel/times.ts';
import {
  ArrayList,
  CelError,
  CelList,
  CelMap,
  compare,
  EntryMap,
  equal,
  typeOf,
  TypeValue,
  typeName,
  Uint,
  type Value,
} from '../src/cel/values.ts';
import { overload, type Overload } from '../src/cel/functions.ts';

type Data = any; // oxlint-disable-line no-explicit-any -- the package types its data as any JSON

export interface SpecCase {
  readonly original: Data;
  readonly ast?: string;
  readonly checkedAst?: string;
  readonly type?: string;
  readonly error?: string;
}

export interface SpecSuite {
  readonly name: string;
  readonly suites?: readonly SpecSuite[];
  readonly tests?: readonly SpecCase[];
}

/** The data needs protobuf messages, which an API server of JSON objects does not have. */
export class NeedsProto extends Error {}

const PRIMITIVES: Readonly<Record<string, CelType>> = {
  BOOL,
  INT64: INT,
  UINT64: UINT,
  DOUBLE,
  STRING,
  BYTES,
};
const WELL_KNOWN: Readonly<Record<string, CelType>> = { ANY, TIMESTAMP, DURATION };

/** Messages that are types of the language. */
const MESSAGE_TYPES: Readonly<Record<string, CelType>> = {
  'google.protobuf.Any': ANY,
  'google.protobuf.Value': DYN,
  'google.protobuf.Struct': mapOf(STRING, DYN),
  'google.protobuf.ListValue': listOf(DYN),
  'google.protobuf.Int32Value': wrapperOf(INT),
};

export function readType(data: Data): CelType {
  if ('primitive' in data) return PRIMITIVES[data.primitive];
  if ('wrapper' in data) return wrapperOf(PRIMITIVES[data.wrapper]);
  if ('wellKnown' in data) return WELL_KNOWN[data.wellKnown];
  if ('null' in data) return NULL;
  if ('dyn' in data) return DYN;
  if ('listType' in data)
    return listOf(data.listType.elemType === undefined ? DYN : readType(data.listType.elemType));
  if ('mapType' in data) return mapOf(readType(data.mapType.keyType), readType(data.mapType.valueType));
  if ('typeParam' in data) return typeParam(data.typeParam);
  if ('type' in data) return Object.keys(data.type).length === 0 ? TYPE : typeOfType(readType(data.type));
  if ('abstractType' in data) {
    return opaque(data.abstractType.name, ...(data.abstractType.parameterTypes ?? []).map(readType));
  }
  if ('messageType' in data) {
    return NAMED_TYPES.get(data.messageType) ?? MESSAGE_TYPES[data.messageType] ?? structOf(data.messageType);
  }
  throw new Error(`unknown type ${JSON.stringify(data)}`);
}

export function readValue(data: Data): Value {
  const [kind] = Object.keys(data);
  const value = data[kind];
  switch (kind) {
    case 'nullValue':
      return null;
    case 'boolValue':
    case 'stringValue':
      return value;
    case 'int64Value':
      return BigInt(value);
    case 'uint64Value':
      return new Uint(BigInt(value));
    case 'doubleValue':
      return Number(value);
    case 'bytesValue':
      return new Uint8Array(Buffer.from(value, 'base64'));
    case 'typeValue':
      return new TypeValue(NAMED_TYPES.get(value) ?? opaque(value));
    case 'listValue':
      return new ArrayList((value.values ?? []).map(readValue));
    case 'mapValue': {
      const map = new EntryMap();
      for (const entry of value.entries ?? []) map.insert(readValue(entry.key), readValue(entry.value));
      return map;
    }
    case 'objectValue': {
      const name = value['@type'].replace('type.googleapis.com/', '');
      const time =
        name === 'google.protobuf.Duration'
          ? parseDuration(value.value)
          : name === 'google.protobuf.Timestamp'
            ? parseTimestamp(value.value)
            : undefined;
      if (time === undefined || time instanceof CelError) throw new NeedsProto(name);
      return time;
    }
    default:
      throw new NeedsProto(kind);
  }
}

/** Equal, and of the same types all through: 1 is not 1u here, and NaN is NaN. */
export function sameValue(a: Value, b: Value): boolean {
  if (typeName(typeOf(a)) !== typeName(typeOf(b))) return false;
  if (typeof a === 'number' && typeof b === 'number') return Object.is(a, b) || compare(a, b) === 0;
  if (a instanceof CelList && b instanceof CelList) {
    return a.size === b.size && a.toArray().every((value, i) => sameValue(value, b.at(i)));
  }
  if (a instanceof CelMap && b instanceof CelMap) {
    return (
      a.size === b.size &&
      [...a.keys()].every((key) => b.get(key) !== undefined && sameValue(a.get(key)!, b.get(key)!))
    );
  }
  return equal(a, b);
}

export interface Declarations {
  readonly variables: Map<string, CelType>;
  readonly functions: Overload[];
}

export function readDeclarations(data: readonly Data[] | undefined): Declarations {
  const variables: Map<string, CelType> = new Map();
  const functions: Overload[] = [];
  for (const entry of data ?? []) {
    if (entry.ident !== undefined) {
      const type = readType(entry.ident.type);
      if (type.kind === 'struct') throw new NeedsProto(type.name);
      variables.set(entry.name, type);
      continue;
    }
    for (const declared of entry.function.overloads) {
      const params = (declared.params ?? []).map(readType);
      const base = overload(declared.overloadId, `${entry.name}() dyn`, () => new CelError('not evaluated'));
      functions.push({
        ...base,
        instance: declared.isInstanceFunction === true,
        args: params,
        result: readType(declared.resultType),
        typeParams: declared.typeParams ?? [],
      });
    }
  }
  return { variables, functions };
}
