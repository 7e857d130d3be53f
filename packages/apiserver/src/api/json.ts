/**
 * What an API object is made of: the JSON data model as Kubernetes has it, where an integer and a number with a
 * fraction are two things and an integer has 64 bits. Types only; codec/ reads and writes them.
 *
 * Modelled on apimachinery's unstructured content (int64, float64, string, bool, nil, slice, map).
 */

/**
 * A number that was written with a fraction or an exponent although its value is whole (`1.0`, `2e3`). It is
 * kept apart because a schema of type integer and a typed field refuse what a schema of type number takes.
 * Written out as Go writes a float64: `1`.
 */
export class JsonFloat {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }

  toJSON(): number {
    return this.value;
  }
}

/**
 * One value. An integer is a `number` within ±(2^53 − 1) and a `bigint` beyond, up to 64 bits; a number with a
 * fraction is a `number`; see JsonFloat for the whole ones that were written as fractions.
 *
 * Values are never changed in place once an object is made of them: defaulting, patches and admission copy on write.
 */
export type Json = null | boolean | number | bigint | string | JsonFloat | JsonArray | JsonObject;

export type JsonArray = readonly Json[];

/** An object with its members in the order they were read. No member is undefined. */
export interface JsonObject {
  readonly [name: string]: Json;
}

/** Tells a JSON object from the other values. */
export function isJsonObject(value: Json | undefined): value is JsonObject {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof JsonFloat)
  );
}
