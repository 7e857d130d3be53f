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

/** Any method, when its messages do not matter: an encoder of it cannot be called. */
export interface AnyMethod {
  readonly name: string;
  readonly path: string;
  readonly kind: MethodKind;
  readonly request: AnyCodec;
  readonly response: AnyCodec;
}

export interface AnyCodec {
  readonly encode: (message: never) => Buffer;
  readonly decode: (bytes: Uint8Array) => object;
}

export interface Service {
  /** Full name: `etcdserverpb.KV`. */
  readonly name: string;
  /** By method name, first letter in lower case. */
  readonly methods: Readonly<Record<string, AnyMethod>>;
}

/** The request type of a method. */
export type RequestOf<M extends AnyMethod> = ReturnType<M['request']['decode']>;
/** The response type of a method. */
export type ResponseOf<M extends AnyMethod> = ReturnType<M['response']['decode']>;
