/**
 * How requests reach a server: one call, whatever carries it. An API server in this process satisfies the interface
 * as it is; https-transport.ts goes over the network.
 */

export interface CallOptions {
  readonly method?: string;
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** The caller goes away when it fires: the connection's stream is closed, whoever waits is told. */
  readonly signal?: AbortSignal;
}

export interface CallAnswer {
  readonly code: number;
  /** Names in lower case; values in order. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
  /** The body, once; who breaks the iteration off goes away. */
  readonly chunks: AsyncIterable<Buffer>;
  /** The body as a whole, instead of `chunks`. */
  bytes(): Promise<Buffer>;
}

export interface Transport {
  /**
   * Sends a request and resolves with the head of its answer.
   *
   * @param target path and query
   * @throws Error when no answer comes, whatever its code
   */
  call(target: string, options?: CallOptions): Promise<CallAnswer>;
}
