/** Literals as closures: constants, lists, maps and messages. What is made of constants is made once where that is asked for. */

import type { Constant, ListExpr, MapExpr, StructExpr } from './ast.ts';
import type { CompiledNode, NodeCompiler } from './compiled-node.ts';
import { strict } from './operands.ts';
import { ArrayList, CelError, EntryMap, Optional, Uint, typeName, typeOf, type Value } from './values.ts';

const LIST_COST = 10;
const MAP_COST = 30;
const STRUCT_COST = 40;

export function constantValue(constant: Constant): Value {
  switch (constant.kind) {
    case 'null':
      return null;
    case 'uint':
      return new Uint(constant.value);
    default:
      return constant.value;
  }
}

export function listNode(compiler: NodeCompiler, { elements, optionalIndices }: ListExpr): CompiledNode {
  const nodes = elements.map((element) => compiler.compile(element));
  const constants = nodes.map((node) => node.constant);
  if (
    compiler.scope.foldConstants &&
    optionalIndices.length === 0 &&
    constants.every((value) => value !== undefined)
  ) {
    const constant = new ArrayList(constants);
    return { run: () => constant, constant };
  }
  const optional = nodes.map((_node, i) => optionalIndices.includes(i));
  return strict<Value[]>(nodes, {
    begin: () => [],
    take(values, i, value) {
      if (!optional[i]) values.push(value);
      else if (!(value instanceof Optional)) return optionalNeeded('[', value);
      else if (value.value !== undefined) values.push(value.value);
      return undefined;
    },
    whole: false,
    failed: (frame) => frame.charge(LIST_COST),
    end(frame, values) {
      frame.charge(LIST_COST);
      return new ArrayList(values);
    },
  });
}

export function mapNode(compiler: NodeCompiler, expr: MapExpr): CompiledNode {
  const nodes = expr.entries.flatMap((entry) => [compiler.compile(entry.key), compiler.compile(entry.value)]);
  const optional = expr.entries.map((entry) => entry.optional);
  const constants = nodes.map((node) => node.constant);
  if (compiler.scope.foldConstants && !optional.includes(true)) {
    const map = constantMap(constants);
    if (map !== undefined) return { run: () => map, constant: map };
  }
  return strict<{ readonly map: EntryMap; key: Value }>(nodes, {
    begin: () => ({ map: new EntryMap(), key: null }),
    take(into, i, value) {
      if (i % 2 === 0) {
        into.key = value;
        return undefined;
      }
      if (!optional[(i - 1) / 2]) return inserted(into.map, into.key, value);
      if (!(value instanceof Optional)) return optionalNeeded('{', value);
      return value.value === undefined ? undefined : inserted(into.map, into.key, value.value);
    },
    whole: false,
    failed: (frame) => frame.charge(MAP_COST),
    end(frame, { map }) {
      frame.charge(MAP_COST);
      return map;
    },
  });
}

export function structNode(compiler: NodeCompiler, expr: StructExpr): CompiledNode {
  const reference = compiler.scope.references?.get(expr.id);
  const name = reference?.kind === 'type' ? reference.name : expr.name;
  const declaration = compiler.scope.struct(name);
  const { fields } = expr;
  const nodes = fields.map((field) => compiler.compile(field.value));
  return strict<Map<string, Value>>(nodes, {
    begin: () => new Map(),
    take(values, i, value) {
      if (!fields[i].optional) values.set(fields[i].name, value);
      else if (!(value instanceof Optional)) return optionalNeeded('{', value);
      else if (value.value !== undefined) values.set(fields[i].name, value.value);
      return undefined;
    },
    whole: false,
    failed: (frame) => frame.charge(STRUCT_COST),
    end(frame, values) {
      frame.charge(STRUCT_COST);
      return declaration?.make?.(values) ?? new CelError(`unknown type: ${name}`);
    },
  });
}

/** A map of constants; undefined where something is none, or a key cannot be one. */
function constantMap(values: readonly (Value | undefined)[]): EntryMap | undefined {
  const map = new EntryMap();
  for (let i = 0; i < values.length; i += 2) {
    const key = values[i];
    const value = values[i + 1];
    if (key === undefined || value === undefined || inserted(map, key, value) !== undefined) return undefined;
  }
  return map;
}

/** The last value of a key that stands twice is its value. @returns what is wrong with the key */
function inserted(map: EntryMap, key: Value, value: Value): CelError | undefined {
  return map.set(key, value) ? undefined : new CelError(`unsupported key type: ${typeName(typeOf(key))}`);
}

function optionalNeeded(where: string, value: Value): CelError {
  const place = where === '[' ? 'list element' : 'entry';
  return new CelError(
    `cannot initialize optional ${place} from non-optional value ${typeName(typeOf(value))}`,
  );
}
