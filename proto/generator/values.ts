/**
 * What the printed code does with one value of each wire form: its TypeScript type, its zero, and the
 * calls that size, write and read it. Messages have no line here: they are calls of their own functions.
 */
import type { FieldModel } from './model.ts';

export interface ValueForm {
  readonly tsType: 'boolean' | 'number' | 'bigint' | 'string' | 'Buffer';
  readonly zero: string;
  /** The test whether a value is not zero. */
  readonly present: (value: string) => string;
  /** Bytes after the tag. */
  readonly size: (value: string) => string;
  readonly put: string;
  /** Method of Reader. */
  readonly read: string;
  readonly wireType: 0 | 2;
}

/** A varint held in a number. */
function numeric(size: string, put: string, read: string): ValueForm {
  return {
    tsType: 'number',
    zero: '0',
    present: (value) => `${value} !== 0`,
    size: (value) => `${size}(${value})`,
    put,
    read,
    wireType: 0,
  };
}

/** A 64-bit varint held in a bigint. */
function identity(size: string, read: string): ValueForm {
  return {
    tsType: 'bigint',
    zero: '0n',
    present: (value) => `${value} !== 0n`,
    size: (value) => `${size}(${value})`,
    put: 'putId',
    read,
    wireType: 0,
  };
}

const FORMS: Readonly<Record<string, ValueForm>> = {
  bool: {
    tsType: 'boolean',
    zero: 'false',
    present: (value) => value,
    size: () => '1',
    put: 'putBool',
    read: 'bool',
    wireType: 0,
  },
  enum: numeric('sizeInt32', 'putInt32', 'int32'),
  int32: numeric('sizeInt32', 'putInt32', 'int32'),
  uint32: numeric('sizeUint32', 'putVarint', 'uint32'),
  'int64 count': numeric('sizeCountInt64', 'putCountInt64', 'countInt64'),
  'uint64 count': numeric('sizeCountUint64', 'putVarint', 'countUint64'),
  'int64 id': identity('sizeIdInt64', 'idInt64'),
  'uint64 id': identity('sizeIdUint64', 'idUint64'),
  string: {
    tsType: 'string',
    zero: "''",
    present: (value) => `${value}.length !== 0`,
    size: (value) => `sizeDelimited(stringLength(${value}))`,
    put: 'putString',
    read: 'string',
    wireType: 2,
  },
  bytes: {
    tsType: 'Buffer',
    zero: 'EMPTY',
    present: (value) => `${value}.length !== 0`,
    size: (value) => `sizeDelimited(${value}.length)`,
    put: 'putBytes',
    read: 'view',
    wireType: 2,
  },
};

/** The form of a scalar or enum field. */
export function valueForm(type: FieldModel['type']): ValueForm {
  const key =
    type.is === 'scalar' ? `${type.scalar}${type.kind === undefined ? '' : ` ${type.kind}`}` : type.is;
  const form = FORMS[key];
  if (form === undefined) throw new Error(`no form for ${key}`);
  return form;
}
