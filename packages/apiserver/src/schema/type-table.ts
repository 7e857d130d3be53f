/**
 * The built-in types by name, read from the generated fact table: a line is taken apart when its type is first
 * asked for, so that a server pays only for the kinds it serves. Never changes what the table says; defaults and
 * validation are written per kind.
 */

import { assert } from '@keelson/base';

import type { Json } from '../api/json.ts';
import { FACTS } from './gen/facts.ts';
import type {
  FieldSchema,
  InlinedStruct,
  ListSchema,
  MapSchema,
  ScalarName,
  ScalarSchema,
  StructSchema,
  TypeSchema,
  UntypedSchema,
} from './type-schema.ts';

/** Letters of the table's scalars. */
const SCALARS: Readonly<Record<string, ScalarName>> = {
  s: 'string',
  b: 'boolean',
  i: 'int32',
  l: 'int64',
  I: 'uint32',
  L: 'uint64',
  f: 'float32',
  d: 'float64',
  y: 'bytes',
  t: 'time',
  u: 'microTime',
  D: 'duration',
  q: 'quantity',
  x: 'intOrString',
};

const UNTYPED: Readonly<Record<string, UntypedSchema['form']>> = {
  R: 'raw',
  A: 'schemaOrArray',
  B: 'schemaOrBool',
  P: 'schemaOrStringArray',
};

export class TypeTable {
  private readonly lines: ReadonlyMap<string, string>;
  private readonly structs = new Map<string, Struct>();
  private readonly scalars = new Map<string, ScalarSchema>();

  /** @param text the fact table; tests give a small one */
  constructor(text: string = FACTS) {
    const lines = new Map<string, string>();
    for (const line of text.split('\n')) {
      if (line === '') continue;
      const end = line.search(/[!\t]|$/);
      lines.set(line.slice(0, end), line);
    }
    this.lines = lines;
  }

  /** Names of all types, sorted. */
  names(): string[] {
    return [...this.lines.keys()];
  }

  has(name: string): boolean {
    return this.lines.has(name);
  }

  /** The type of this name, `core.v1.PodSpec`; one that the table lacks is a mistake of ours. */
  struct(name: string): StructSchema {
    let found = this.structs.get(name);
    if (found === undefined) {
      const line = this.lines.get(name);
      assert(line !== undefined, `no type ${name} in the fact table`);
      found = new Struct(name, line, this);
      this.structs.set(name, found);
    }
    return found;
  }

  /** The type a code of the table stands for; what the marks say of lists and maps comes with it. */
  type(code: string, marks: Marks): TypeSchema {
    const rest = code.slice(1);
    switch (code[0]) {
      case '[':
      case '(':
        return {
          kind: 'list',
          element: this.type(rest, NO_MARKS),
          listType: marks.list,
          keys: marks.keys,
          boxed: code[0] === '(',
        } satisfies ListSchema;
      case '{':
        return { kind: 'map', value: this.type(rest, NO_MARKS), atomic: marks.atomic } satisfies MapSchema;
      default:
        if (code.length > 1) return this.struct(code);
        if (code in UNTYPED) return { kind: 'untyped', form: UNTYPED[code] };
        return this.scalar(code, marks);
    }
  }

  private scalar(code: string, { values }: Marks): ScalarSchema {
    const scalar = SCALARS[code];
    assert(scalar !== undefined, `no scalar ${code}`);
    if (values !== undefined) return { kind: 'scalar', scalar, enum: values };
    let shared = this.scalars.get(code);
    if (shared === undefined) {
      shared = { kind: 'scalar', scalar };
      this.scalars.set(code, shared);
    }
    return shared;
  }
}

/** Of the fact table: what is taken apart for one server of a process serves all of them, and none can change it. */
export const BUILT_IN_TYPES = /* @__PURE__ */ new TypeTable();

/** What stands behind a field's tildes. */
interface Marks {
  readonly list: 'atomic' | 'set' | 'map';
  readonly keys: readonly string[];
  readonly atomic: boolean;
  readonly merge: boolean;
  readonly retain: boolean;
  readonly by: string;
  readonly go?: string;
  readonly default?: Json;
  readonly values?: readonly string[];
}

const NO_MARKS: Marks = { list: 'atomic', keys: [], atomic: false, merge: false, retain: false, by: '' };

function marksOf(texts: readonly string[]): Marks {
  if (texts.length === 0) return NO_MARKS;
  let marks = NO_MARKS;
  for (const text of texts) {
    const equals = text.indexOf('=');
    const name = equals < 0 ? text : text.slice(0, equals);
    const value = text.slice(equals + 1);
    switch (name) {
      case 'list':
        marks = { ...marks, list: value === 'set' ? 'set' : 'map' };
        break;
      case 'keys':
        marks = { ...marks, keys: value.split(',') };
        break;
      case 'map':
        marks = { ...marks, atomic: true };
        break;
      case 'merge':
        marks = { ...marks, merge: true };
        break;
      case 'retain':
        marks = { ...marks, retain: true };
        break;
      case 'by':
        marks = { ...marks, by: value };
        break;
      case 'go':
        marks = { ...marks, go: value };
        break;
      case 'default':
        marks = { ...marks, default: scalarDefault(value) };
        break;
      case 'enum':
        marks = { ...marks, values: value.split('|') };
        break;
      default:
        assert(false, `no mark ${name}`);
    }
  }
  return marks;
}

/** Defaults of the table are text in quotes, whole numbers and booleans. */
function scalarDefault(text: string): Json {
  const value: unknown = JSON.parse(text);
  assert(
    typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean',
    `a default of the fact table is ${text}`,
  );
  return value;
}

/** A struct whose line is taken apart on first use. */
class Struct implements StructSchema {
  readonly kind = 'struct';
  readonly name: string;
  readonly atomic: boolean;
  readonly keepsUnknown = false;
  private readonly table: TypeTable;
  private readonly cells: readonly string[];
  private parsed: Pick<StructSchema, 'fields' | 'own' | 'inlined'> | undefined;

  constructor(name: string, line: string, table: TypeTable) {
    this.name = name;
    this.table = table;
    const [head, ...cells] = line.split('\t');
    this.atomic = head.endsWith('!atomic');
    this.cells = cells;
  }

  get fields(): ReadonlyMap<string, FieldSchema> {
    return this.parts().fields;
  }

  get own(): readonly FieldSchema[] {
    return this.parts().own;
  }

  get inlined(): readonly InlinedStruct[] {
    return this.parts().inlined;
  }

  private parts(): Pick<StructSchema, 'fields' | 'own' | 'inlined'> {
    if (this.parsed !== undefined) return this.parsed;
    const fields = new Map<string, FieldSchema>();
    const own: FieldSchema[] = [];
    const inlined: InlinedStruct[] = [];
    for (const cell of this.cells) {
      const [shape, ...marks] = cell.split('~');
      const [name, code, tail] = shape.split(':');
      const number = Number.parseInt(tail, 10);
      if (name === '') {
        const type = this.table.struct(code);
        inlined.push({ number, type });
        for (const [inner, field] of type.fields) fields.set(inner, field);
      } else {
        const field = new Field(name, code, number, tail, marksOf(marks), this.table);
        own.push(field);
        fields.set(name, field);
      }
    }
    this.parsed = { fields, own, inlined };
    return this.parsed;
  }
}

/** A field whose type is looked up on first use: types may hold themselves. */
class Field implements FieldSchema {
  readonly name: string;
  readonly number: number;
  readonly goType: string | undefined;
  readonly pointer: boolean;
  readonly omitEmpty: boolean;
  readonly omitZero: boolean;
  readonly required: boolean;
  readonly saidAtomic: boolean;
  readonly patchStrategy: 'replace' | 'merge';
  readonly retainKeys: boolean;
  readonly patchMergeKey: string;
  declare readonly default?: Json;
  private readonly code: string;
  private readonly marks: Marks;
  private readonly table: TypeTable;
  private resolved: TypeSchema | undefined;

  constructor(name: string, code: string, number: number, flags: string, marks: Marks, table: TypeTable) {
    this.name = name;
    this.code = code;
    this.number = number;
    this.goType = marks.go;
    this.pointer = flags.includes('*');
    this.omitEmpty = flags.includes('?');
    this.omitZero = flags.includes('z');
    this.required = flags.includes('!');
    this.saidAtomic = flags.includes('a');
    this.patchStrategy = marks.merge ? 'merge' : 'replace';
    this.retainKeys = marks.retain;
    this.patchMergeKey = marks.by;
    this.marks = marks;
    this.table = table;
    if (marks.default !== undefined) this.default = marks.default;
  }

  get type(): TypeSchema {
    this.resolved ??= this.table.type(this.code, this.marks);
    return this.resolved;
  }
}
