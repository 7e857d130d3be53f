/** What a service looks like to a server or a channel: names, paths, and the codecs of both directions. */

/** A message's two directions. */
export interface Codec<T> {
  /** An exact-size Buffer of its own. */
  readonly encode: (message: T) => Buffer;
  /** Views into `bytes`; throws ProtoError. */
  readonly decode: (bytes: Uint8Array) => T;
}

export type MethodKind = 'unary' | 'server-stream' | 'client-stream' | 'bidi';

export interface Method<Req, Res, Kind extends MethodKind = MethodKind> {
  /** As in the .proto file: `Range`. */
  readonly name: string;
  /** The HTTP/2 `:path`: `/etcdserverpb.KV/Range`. */
  readonly path: string;
  readonly kind: Kind;
  readonly request: Codec<Req>;
  readonly response: Codec<Res>;
}

export interface Service {
  /** Full name: `etcdserverpb.KV`. */
  readonly name: string;
  /** By method name, first letter in lower case. */
  // `never` and `unknown` make every concrete method assignable: codecs are contravariant in encode.
  readonly methods: Readonly<Record<string, Method<never, never>>>;
}

/** The request type of a method. */
export type RequestOf<M> = M extends Method<infer Req, infer _Res> ? Req : never;
/** The response type of a method. */
export type ResponseOf<M> = M extends Method<infer _Req, infer Res> ? Res : never;
