/**
 * A request and its answer as filters and handlers see them, whatever carried them: a socket of http/ or a
 * call inside the process. No word of node:http lies beyond this file.
 *
 * Who reads the body reads it once and is told the limit; who answers chooses one of five forms.
 */

import type { Json } from './json.ts';
import type { KubeObject } from './meta.ts';
import type { RequestInfo } from './request-info.ts';
import type { UserInfo } from './user-info.ts';

/** Header names in lower case; a repeated header has its values in order. */
export type Headers = ReadonlyMap<string, readonly string[]>;

/** The peer at the other end, for authentication and audit. */
export interface Peer {
  /** Textual IP address; `127.0.0.1` for a call inside the process. */
  readonly address: string;
  /** DER of the certificates the client showed and TLS accepted as chain, leaf first; empty without. */
  readonly certificates: readonly Buffer[];
  /** Why TLS did not accept the certificates that were shown (`certificates` is empty then): no anonymous request. */
  readonly certificateError?: string;
  readonly secure: boolean;
}

export interface ApiRequest {
  readonly method: string;
  /** Path without query, percent-decoded segment by segment (an encoded slash stays `%2F`). */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Headers;
  readonly peer: Peer;
  readonly info: RequestInfo;
  /** Aborted when the client went away or the deadline passed: whoever waits, waits no longer. */
  readonly signal: AbortSignal;
  /**
   * Reads the body, once.
   *
   * @param limitBytes refuses a longer one with RequestEntityTooLarge before more than that is kept
   */
  body(limitBytes: number): Promise<Buffer>;
  /** The body piece by piece, once, in place of body(): for who hands it on at its own pace. No limit but the sender's. */
  pieces(): AsyncIterable<Buffer>;
  /** What the client would leave HTTP for (`websocket`, `SPDY/3.1`); undefined where it, or what carries it, does not. */
  readonly upgrade: string | undefined;
  /** Adds a Warning header (299) to the answer; a text said twice is sent once. */
  warn(text: string): void;
  /** What the filters found out, each set by the filter that owns it. */
  readonly context: RequestContext;
}

/** Facts about a request that a filter adds for those behind it. */
export interface RequestContext {
  auditId: string;
  /** Set by authentication; impersonation replaces it. */
  user: UserInfo | undefined;
  /** Who asked in truth, when another is impersonated. */
  impersonator: UserInfo | undefined;
  /** The verb by which he may be the other one, where that is not the plain `impersonate`. */
  impersonationConstraint?: string;
  /** Annotations of the audit event: authorization's reason, admission's words. */
  readonly auditAnnotations: Map<string, string>;
  /** When the request came, ms of the server's monotonic clock. */
  readonly receivedMs: number;
  /** Path and query as they came. */
  readonly target?: string;
  /** Told the size of the answer's body as it was sent, bytes, by whoever sends it. */
  sent?: (bytes: number) => void;
  /** Told the size of each event of a watch, bytes, as it is sent. */
  watched?: (bytes: number) => void;
  /** Set by audit where it wants to know what was sent. */
  audit?: AuditTap | undefined;
}

/** Told what a request brought, by who reads it. */
export interface AuditTap {
  /** The object that was sent, in the request's version. */
  requestObject(object: Json): void;
  /** A patch, as it was sent. */
  requestPatch(body: Buffer): void;
}

/** A connection that carries bytes both ways, once it has left HTTP. Each side has its own pace. */
export interface ByteConnection {
  /**
   * What came next, one read at a time; undefined at the other side's end.
   *
   * @throws when the connection broke
   */
  read(): Promise<Buffer | undefined>;
  /**
   * Sends; not copied.
   *
   * @returns false when enough is waiting: the next piece belongs behind drained()
   */
  write(chunk: Buffer): boolean;
  /** Resolves when what waits has shrunk, or the connection is closed. */
  drained(): Promise<void>;
  /** Sends what waits, then closes. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
  /** Resolves when it is closed, however that came. */
  readonly closed: Promise<void>;
}

/** What a handler answers. */
export type ApiResponse =
  /** An object or a list, in the form the client accepts (JSON, YAML, protobuf, Table, metadata only). */
  | {
      readonly kind: 'object';
      readonly code: number;
      readonly object: KubeObject;
      readonly headers?: Headers;
    }
  /** Bytes that are ready, with their type: documents, logs, metrics, a list joined from cached bytes. */
  | {
      readonly kind: 'bytes';
      readonly code: number;
      readonly contentType: string;
      readonly body: Buffer | readonly Buffer[];
      readonly headers?: Headers;
    }
  /** A stream of chunks until it ends or the client goes: watches, logs that are followed. */
  | {
      readonly kind: 'stream';
      readonly code: number;
      readonly contentType: string;
      readonly chunks: AsyncIterable<Buffer>;
      /**
       * The stream is an answer that is long and made while it is sent: a server that stops lets it come to its end, and
       * it is compressed for those who take it. Others last as long as somebody listens.
       */
      readonly finite?: boolean;
      /** The chunks have the form they are to be sent in: another server's answer, which is not compressed again. */
      readonly asIs?: boolean;
      /** What is said behind the last chunk, asked for then; empty: nothing. */
      readonly trailers?: () => Headers;
      readonly headers?: Headers;
    }
  /** The connection leaves HTTP; only where the request says for what. The head is sent with these headers and no others. */
  | {
      readonly kind: 'switch';
      readonly code: 101;
      readonly headers: Headers;
      /** Is given the connection behind the head, and keeps it until it is over. */
      readonly join: (client: ByteConnection) => Promise<void>;
      /** In place of join: the client is gone, so what was opened for it is to be closed. */
      readonly abandon: () => void;
    }
  /** JSON that is no API object (version, paths). */
  | { readonly kind: 'json'; readonly code: number; readonly value: Json; readonly headers?: Headers };

/** A step of the pipeline or the end of it. An ApiError that it throws is answered as its Status. */
export type Handler = (request: ApiRequest) => Promise<ApiResponse>;

/** One station of the pipeline: acts before or after `next`, or answers in its place. */
export type Filter = (request: ApiRequest, next: Handler) => Promise<ApiResponse>;
