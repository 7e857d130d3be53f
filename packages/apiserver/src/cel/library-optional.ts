/** Optional values: what makes them, asks them and takes them apart. Modelled on cel-go's optional types. */

import { OPERATOR } from './ast.ts';
import { overload, type Implementation, type Overload } from './functions.ts';
import {
  ArrayList,
  CelError,
  CelList,
  CelMap,
  CelObject,
  Duration,
  noSuchOverload,
  Optional,
  Timestamp,
  typeName,
  typeOf,
  Uint,
  type Value,
} from './values.ts';

const never: Implementation = () => noSuchOverload();
const NONE = new Optional(undefined);

/** Whether a value is what its type has when nothing is set. */
function isZero(value: Value): boolean {
  switch (typeof value) {
    case 'boolean':
      return !value;
    case 'bigint':
      return value === 0n;
    case 'number':
      return value === 0;
    case 'string':
      return value === '';
    default:
  }
  if (value === null) return true;
  if (value instanceof Uint) return value.value === 0n;
  if (value instanceof CelList || value instanceof CelMap) return value.size === 0;
  if (value instanceof Uint8Array) return value.length === 0;
  if (value instanceof Duration) return value.nanos === 0n;
  // A time and an optional are never nothing.
  if (value instanceof Timestamp || value instanceof Optional) return false;
  return value instanceof CelObject && value.names().length === 0;
}

const at =
  (last: boolean): Implementation =>
  (list) =>
    list instanceof CelList
      ? new Optional(list.size === 0 ? undefined : list.at(last ? list.size - 1 : 0))
      : noSuchOverload();

/** What the optionals of a list hold, where they hold something. */
const unwrap: Implementation = (list) => {
  if (!(list instanceof CelList)) return noSuchOverload();
  const values: Value[] = [];
  for (const element of list) {
    if (!(element instanceof Optional)) {
      return new CelError(`value ${typeName(typeOf(element))} is not optional`);
    }
    if (element.value !== undefined) values.push(element.value);
  }
  return new ArrayList(values);
};

const none: Implementation = () => NONE;

export const OPTIONAL_LIBRARY: readonly Overload[] = [
  overload('optional_of', 'optional.of(V) optional(V)', (value) => new Optional(value)),
  overload('optional_ofNonZeroValue', 'optional.ofNonZeroValue(V) optional(V)', (value) =>
    isZero(value) ? NONE : new Optional(value),
  ),
  overload('optional_none', 'optional.none() optional(V)', none),
  overload('optional_hasValue', 'optional(V)->hasValue() bool', (value) =>
    value instanceof Optional ? value.value !== undefined : noSuchOverload(),
  ),
  overload('optional_value', 'optional(V)->value() V', (value) =>
    value instanceof Optional
      ? (value.value ?? (value.value === null ? null : new CelError('optional.none() dereference')))
      : noSuchOverload(),
  ),
  // The evaluator looks at the second one only where the first is none.
  overload('optional_or_optional', 'optional(V)->or(optional(V)) optional(V)', never),
  overload('optional_orValue_value', 'optional(V)->orValue(V) V', never),
  overload('list_first', 'list(V)->first() optional(V)', at(false)),
  overload('list_last', 'list(V)->last() optional(V)', at(true)),
  overload('optional_unwrap', 'optional.unwrap(list(optional(V))) list(V)', unwrap),
  overload('optional_unwrapOpt', 'list(optional(V))->unwrapOpt() list(V)', unwrap),
  // The evaluator walks through fields and indices itself; these tell the checker their types.
  overload('select_optional_field', `${OPERATOR.optionalSelect}(dyn, string) optional(V)`, never),
  overload('list_optindex_optional_int', `${OPERATOR.optionalIndex}(list(V), int) optional(V)`, never),
  overload(
    'optional_list_optindex_optional_int',
    `${OPERATOR.optionalIndex}(optional(list(V)), int) optional(V)`,
    never,
  ),
  overload('map_optindex_optional_value', `${OPERATOR.optionalIndex}(map(K, V), K) optional(V)`, never),
  overload(
    'optional_map_optindex_optional_value',
    `${OPERATOR.optionalIndex}(optional(map(K, V)), K) optional(V)`,
    never,
  ),
  overload('optional_list_index_int', `${OPERATOR.index}(optional(list(V)), int) optional(V)`, never),
  overload('optional_map_index_value', `${OPERATOR.index}(optional(map(K, V)), K) optional(V)`, never),
];
