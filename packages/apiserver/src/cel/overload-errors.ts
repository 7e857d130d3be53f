/** The words of a call that no overload is for, which depend on what the first operand knows; as CEL-go has them. */

import { CelError, noSuchOverload, typeName, typeOf, type Value } from './values.ts';

/** Types whose values know an operator, as CEL-go's traits say; it names the operator where the first operand has none. */
const NUMBERS: readonly string[] = ['int', 'uint', 'double'];
const TIMES: readonly string[] = ['google.protobuf.Duration', 'google.protobuf.Timestamp'];
const COMPARABLE: readonly string[] = [...NUMBERS, ...TIMES, 'bool', 'string', 'bytes'];
const TRAITS: ReadonlyMap<string, readonly string[]> = new Map([
  ['_+_', [...NUMBERS, ...TIMES, 'string', 'bytes', 'list']],
  ['_-_', [...NUMBERS, ...TIMES]],
  ['_*_', NUMBERS],
  ['_/_', NUMBERS],
  ['_%_', ['int', 'uint']],
  ['-_', ['int', 'double', 'google.protobuf.Duration']],
  ['size', ['string', 'bytes', 'list', 'map']],
  ['sort', ['list']],
  ...['_<_', '_<=_', '_>_', '_>=_'].map((name) => [name, COMPARABLE] as const),
]);
/** Those have methods, and are asked for one of the operator's name. */
const RECEIVERS: ReadonlySet<string> = new Set(['string', ...TIMES]);
const UNNAMED: ReadonlySet<string> = new Set(['contains', 'endsWith', 'startsWith', 'matches', '@in', '!_']);

/** What is said where no overload takes the values. */
export function withoutOverload(name: string, values: readonly Value[]): CelError {
  const types = values.map((value) => typeName(typeOf(value)));
  const traits = TRAITS.get(name);
  if (traits !== undefined) {
    const [first] = types;
    return RECEIVERS.has(first) || traits.includes(first)
      ? noSuchOverload()
      : new CelError(`no such overload: ${name}`);
  }
  return UNNAMED.has(name)
    ? noSuchOverload()
    : new CelError(`no such overload: ${name}(${types.join(', ')})`);
}

/** What Go calls the type of a value that is no list and no map. */
export function goTypeName(value: Value): string {
  const name = typeName(typeOf(value));
  const last = name.slice(name.lastIndexOf('.') + 1);
  return last === 'null_type' ? 'Null' : `${last[0].toUpperCase()}${last.slice(1)}`;
}
