/**
 * Members of JSON objects under construction, whatever they are called: a member called `__proto__` is a member, and
 * what an object inherits is none.
 */

import type { Json, JsonObject } from '../api/json.ts';
import { NameKeeper } from '../api/member-names.ts';

/** Sets a member of an object that is being made. */
export function setMember(object: Record<string, Json>, name: string, value: Json): void {
  if (name === '__proto__') {
    Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
  } else {
    object[name] = value;
  }
}

/** An object of many members that is being made; its names are kept with it. */
export class Members {
  private readonly made: Record<string, Json> = {};
  private readonly names = new NameKeeper();
  private count = 0;

  /** @param name that was not put before */
  put(name: string, value: Json): void {
    setMember(this.made, name, value);
    this.names.add(name);
    this.count += 1;
  }

  /** Undefined where nothing was put. */
  object(): JsonObject | undefined {
    if (this.count === 0) return undefined;
    this.names.keep(this.made);
    return this.made;
  }
}

/** Members up to which the engine copies an object in a few microseconds. */
const FEW = 128;

/** Whether an object is to be copied member by member. */
export function hasMany(count: number): boolean {
  return count > FEW;
}

/** A member of an object; undefined where it has none. */
export function memberOf(object: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

/** Tells a list from the other values. */
export function isJsonList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}
