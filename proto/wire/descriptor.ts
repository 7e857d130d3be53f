/** What gen/descriptors.ts says of a message: enough to map it to JSON and back without its generated code. */

export interface FieldDescriptor {
  /** As in the .proto file, which is also the gateway's JSON name: `prev_kv`. */
  readonly name: string;
  /** As in the class: `prevKv`. */
  readonly property: string;
  readonly number: number;
  /** A scalar of protobuf (`bool int32 uint32 int64 uint64 string bytes`), or a message's or enum's full name. */
  readonly type: string;
  readonly repeated: boolean;
  /** implicit: absent means zero. explicit: absent is undefined. always: written even when zero. */
  readonly presence: 'implicit' | 'explicit' | 'always';
  readonly oneof: string | undefined;
}

export interface MessageDescriptor {
  /** The class; `new type()` has every field at its default. */
  readonly type: new () => object;
  /** In order of declaration. */
  readonly fields: readonly FieldDescriptor[];
}

export interface MethodDescriptor {
  /** Full names of the messages. */
  readonly request: string;
  readonly response: string;
  /** POST paths of the JSON gateway, the main one first; empty where it has none. */
  readonly http: readonly string[];
}
