/**
 * Copies and names a node's whole state. The core's objects are plain data, so one walk over their fields
 * serves every class: `copyOf` keeps prototypes and aliases, `nameOf` writes a text that is equal exactly
 * when two nodes would do the same for ever. Neither knows what a field means, with three exceptions that
 * are named below; a field added to the core is copied and told apart without a word here.
 */
import { Entry, Message, Snapshot } from '../../src/index.ts';
import { Inflights } from '../../src/inflights.ts';
import { RaftState } from '../../src/state.ts';
import { Tracker } from '../../src/tracker.ts';

type Fields = Record<string, unknown>;

/** What is never changed once made, and so may be shared by all copies. */
function isValue(object: object): boolean {
  return (
    object instanceof Entry ||
    object instanceof Message ||
    object instanceof Snapshot ||
    Buffer.isBuffer(object)
  );
}

/** A settled configuration holds the dice, the log lines and the storage: options that never change. */
function isConfig(object: object): boolean {
  return 'asyncStorageWrites' in object;
}

/**
 * A deep copy. Two references to one object stay two references to one copy.
 *
 * @param shared objects that the copy keeps pointing at
 */
export function copyOf<T extends object>(root: T, shared: ReadonlySet<object>): T {
  const copies = new Map<object, object>();
  const copy = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    if (shared.has(value) || isValue(value) || isConfig(value)) return value;
    const known = copies.get(value);
    if (known !== undefined) return known;
    if (Array.isArray(value)) {
      const list: unknown[] = [];
      copies.set(value, list);
      for (let i = 0; i < value.length; i++) list.push(copy(value[i]));
      return list;
    }
    if (value instanceof Map) {
      const map = new Map<unknown, unknown>();
      copies.set(value, map);
      for (const [key, each] of value) map.set(key, copy(each));
      return map;
    }
    const made = Object.create(Object.getPrototypeOf(value) as object) as Fields;
    copies.set(value, made);
    const fields = value as Fields;
    // Every class of the core sets its fields in one order and never deletes one.
    for (const key in fields) made[key] = copy(fields[key]);
    return made;
  };
  return copy(root) as T;
}

/** What makes two entries, messages or snapshots the same one. */
export function nameOfValue(value: Entry | Message | Snapshot | Buffer): string {
  if (Buffer.isBuffer(value)) return `"${value.toString('latin1')}"`;
  if (value instanceof Entry) return `${value.term}/${value.index}:${value.type}${nameOfValue(value.data)}`;
  if (value instanceof Snapshot) return `S${value.term}/${value.index}${nameOfValue(value.data)}`;
  return (
    `${value.type} ${value.from}>${value.to} ${value.term} ${value.logTerm}/${value.index} ${value.commit} ` +
    `${value.vote} ${value.reject ? value.rejectHint : '-'} ${nameOfValue(value.context)}` +
    `[${value.entries.map(nameOfValue).join()}][${value.responses.map(nameOfValue).join()}]` +
    (value.snapshot === undefined ? '' : nameOfValue(value.snapshot))
  );
}

/** Not part of a state: one is scratch, the others are the same in all states of a node. */
function skipped(object: object, key: string): boolean {
  if (object instanceof RaftState) return key === 'config' || key === 'name';
  return object instanceof Tracker && key === 'scratch';
}

/** Everything reachable, in one line. Fields come in the order of their class. */
export function nameOf(root: object, shared: ReadonlySet<object>): string {
  let text = '';
  const places = new Map<object, number>();
  const write = (value: unknown): void => {
    switch (typeof value) {
      case 'number':
      case 'string':
        text += `${value},`;
        return;
      case 'bigint':
        text += `${value}n`;
        return;
      case 'boolean':
        text += value ? 't' : 'f';
        return;
      case 'object':
        if (value !== null) writeObject(value);
        return;
      default:
        text += 'u';
    }
  };
  const writeObject = (value: object): void => {
    if (shared.has(value) || isConfig(value)) return;
    if (isValue(value)) {
      text += nameOfValue(value as Entry | Message | Snapshot | Buffer);
      return;
    }
    const place = places.get(value);
    if (place !== undefined) {
      text += `#${place},`;
      return;
    }
    places.set(value, places.size);
    if (Array.isArray(value)) {
      text += '[';
      for (let i = 0; i < value.length; i++) write(value[i]);
      text += ']';
    } else if (value instanceof Map) {
      writeMap(value);
    } else if (value instanceof Inflights) {
      text += nameOfWindow(value);
    } else {
      text += '{';
      for (const key in value) if (!skipped(value, key)) write((value as Fields)[key]);
      text += '}';
    }
  };
  const writeMap = (map: ReadonlyMap<unknown, unknown>): void => {
    // Answers are kept by node id, and their order of arrival means nothing; that of reads does.
    const entries = [...map];
    if (entries.every(([key]) => typeof key === 'bigint')) entries.sort(([a], [b]) => Number(a) - Number(b));
    text += '(';
    for (const [key, each] of entries) {
      write(key);
      write(each);
    }
    text += ')';
  };
  write(root);
  return text;
}

/** A ring's live part: where in the array it lies, and what dead places hold, changes nothing. */
function nameOfWindow(window: Inflights): string {
  const { count, start, indexes, sizes } = window as unknown as {
    readonly count: number;
    readonly start: number;
    readonly indexes: readonly number[];
    readonly sizes: readonly number[];
  };
  let text = 'W';
  for (let i = 0; i < count; i++) {
    const place = (start + i) & (indexes.length - 1);
    text += `${indexes[place]}:${sizes[place]},`;
  }
  return text;
}

/** Makes a change of a message that has left its node an exception: other nodes and states share it. */
export function freezeMessage(message: Message): Message {
  for (const entry of message.entries) Object.freeze(entry);
  Object.freeze(message.entries);
  if (message.snapshot !== undefined) Object.freeze(message.snapshot);
  return Object.freeze(message);
}
