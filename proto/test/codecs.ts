/** What the tests share: the model, the generated codecs by full name, and one text form of a message to compare by. */
// oxlint-disable typescript/no-unsafe-type-assertion -- the tests look into messages by name, where types end
import { loadModel, type MessageModel } from '../generator/model.ts';
import * as gen from '../gen/index.ts';

export const model = loadModel();

export interface GeneratedMessage {
  readonly model: MessageModel;
  readonly create: (init: object) => object;
  readonly encode: (message: object) => Buffer;
  readonly decode: (bytes: Uint8Array, limits?: gen.DecodeLimits) => object;
}

/** Every message, by full name. */
export const messages = new Map<string, GeneratedMessage>();

// The namespaces are looked into by name here; everywhere else they are used with their types.
const namespaces = gen as unknown as Record<string, Record<string, unknown>>;
for (const pkg of model.packages) {
  const exports = namespaces[pkg.namespace];
  for (const message of pkg.messages) {
    const name = message.typeName;
    const type = exports[name] as new (init: object) => object;
    messages.set(message.fullName, {
      model: message,
      create: (init) => new type(init),
      encode: exports[`encode${name}`] as (message: object) => Buffer,
      decode: exports[`decode${name}`] as (bytes: Uint8Array) => object,
    });
  }
}

export function messageOf(fullName: string): GeneratedMessage {
  const found = messages.get(fullName);
  if (found === undefined) throw new Error(`no message ${fullName}`);
  return found;
}

/** Every field in order, bytes as hex, bigints with an n, absent ones as undefined: equal exactly when the messages are. */
export function canonical(message: MessageModel, value: object): string {
  const source = value as Record<string, unknown>;
  const one = (field: MessageModel['fields'][number], item: unknown): string => {
    if (item === undefined) return 'undefined';
    if (field.type.is === 'message') return canonical(messageOf(field.type.fullName).model, item as object);
    if (item instanceof Uint8Array) return `<${Buffer.from(item).toString('hex')}>`;
    if (typeof item === 'bigint') return `${item}n`;
    return JSON.stringify(item);
  };
  const fields = message.fields.map((field) => {
    const item = source[field.property];
    return `${field.property}:${Array.isArray(item) ? `[${item.map((each) => one(field, each)).join()}]` : one(field, item)}`;
  });
  return `{${fields.join()}}`;
}
