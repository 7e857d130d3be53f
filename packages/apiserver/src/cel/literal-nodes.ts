/** Literals as closures: constants, lists, maps and messages. What is made of constants is made once where that is asked for. */

import type { Constant, ListExpr, MapExpr, StructExpr } from './ast.ts';
import type { CompiledNode, NodeCompiler } from './compiled-node.ts';
import { Frame, NO_BINDINGS } from './frame.ts';
import {
  ArrayList,
  CelError,
  EntryMap,
  Optional,
  Uint,
  typeName,
  typeOf,
  type Result,
  type Value,
} from './values.ts';

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

export function listNode(
  compiler: NodeCompiler,
  { elements, optionalIndices }: ListExpr,
): CompiledNode {
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
  const runs = nodes.map((node) => node.run);
  const optional = runs.map((_run, i) => optionalIndices.includes(i));
  return {
    run: (frame) => {
      const values: Value[] = [];
      for (let i = 0; i < runs.length; i++) {
        const value = runs[i](frame);
        if (value instanceof CelError) return value;
        if (!optional[i]) values.push(value);
        else if (!(value instanceof Optional)) return optionalNeeded('[', value);
        else if (value.value !== undefined) values.push(value.value);
      }
      frame.charge(LIST_COST);
      return new ArrayList(values);
    },
  };
}

export function mapNode(compiler: NodeCompiler, expr: MapExpr): CompiledNode {
  const entries = expr.entries.map((entry) => ({
    key: compiler.compile(entry.key),
    value: compiler.compile(entry.value),
    optional: entry.optional,
  }));
  const build = (frame: Frame): EntryMap | CelError => {
    const map = new EntryMap();
    for (const entry of entries) {
      const key = entry.key.run(frame);
      if (key instanceof CelError) return key;
      let value: Result | undefined = entry.value.run(frame);
      if (value instanceof CelError) return value;
      if (entry.optional) {
        if (!(value instanceof Optional)) return optionalNeeded('{', value);
        value = value.value;
        if (value === undefined) continue;
      }
      if (map.insert(key, value)) continue;
      return new CelError(
        map.get(key) === undefined || typeof key === 'number'
          ? `unsupported key type: ${typeName(typeOf(key))}`
          : 'Failed with repeated key',
      );
    }
    return map;
  };
  const constant = entries.every(
    (entry) => !entry.optional && entry.key.constant !== undefined && entry.value.constant !== undefined,
  );
  if (compiler.scope.foldConstants && constant) {
    const map = build(new Frame(NO_BINDINGS, 0, Number.POSITIVE_INFINITY, undefined));
    if (!(map instanceof CelError)) return { run: () => map, constant: map };
  }
  return {
    run: (frame) => {
      const map = build(frame);
      if (!(map instanceof CelError)) frame.charge(MAP_COST);
      return map;
    },
  };
}

export function structNode(compiler: NodeCompiler, expr: StructExpr): CompiledNode {
  const reference = compiler.scope.references?.get(expr.id);
  const name = reference?.kind === 'type' ? reference.name : expr.name;
  const declaration = compiler.scope.struct(name);
  const fields = expr.fields.map((field) => ({
    name: field.name,
    run: compiler.compile(field.value).run,
    optional: field.optional,
  }));
  return {
    run: (frame) => {
      const values: Map<string, Value> = new Map();
      for (const field of fields) {
        const value = field.run(frame);
        if (value instanceof CelError) return value;
        if (!field.optional) values.set(field.name, value);
        else if (!(value instanceof Optional)) return optionalNeeded('{', value);
        else if (value.value !== undefined) values.set(field.name, value.value);
      }
      frame.charge(STRUCT_COST);
      return declaration?.make?.(values) ?? new CelError(`unknown type: ${name}`);
    },
  };
}

function optionalNeeded(where: string, value: Value): CelError {
  const place = where === '[' ? 'list element' : 'entry';
  return new CelError(
    `cannot initialize optional ${place} from non-optional value ${typeName(typeOf(value))}`,
  );
}
