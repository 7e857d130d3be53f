/**
 * One request and its answer as a transport carries them: a stream of HTTP/2, a message of HTTP/1.1, or a call
 * inside the process. Interfaces only; door.ts speaks to all three alike.
 */

import type { ByteConnection, Headers, Peer } from '../api/exchange.ts';

/** What came in. */
export interface Incoming {
  readonly method: string;
  /** Path and query as they were sent. */
  readonly target: string;
  readonly headers: Headers;
  readonly peer: Peer;
  /** Bytes the client announced; undefined: it did not say. */
  readonly contentLength: number | undefined;
  /** What the connection may leave HTTP for, as its client asks; its answer is then an Outgoing that can be taken over. */
  readonly upgrade?: string | undefined;
  /**
   * Reads the body piece by piece; each call goes on where the last one stopped. Undefined at its end.
   *
   * @throws when the client went away before
   */
  read(): Promise<Buffer | undefined>;
  /**
   * Reads the whole body, in place of read().
   *
   * @returns undefined when it is longer than that; the rest of it stays with its sender
   * @throws when the client went away before
   */
  whole(limitBytes: number): Promise<Buffer | undefined>;
  /** Calls back once when nobody waits for the answer any more. */
  onGone(task: () => void): void;
}

/** What goes out: the head once, then the body. */
export interface Outgoing {
  /** Whether there is anybody left to write to. */
  readonly open: boolean;
  /**
   * @param headers names in lower case
   * @param trailers asked at the end for what is said behind the body; left out where the transport cannot say it
   */
  head(code: number, headers: Headers, trailers?: () => Headers): void;
  /**
   * Sends a piece of the body; not copied.
   *
   * @returns false when enough is waiting: the next piece belongs behind drained()
   */
  write(chunk: Buffer): boolean;
  /** Resolves when what waits has shrunk, or nobody is left to write to. */
  drained(): Promise<void>;
  /** Bytes of the body that wait here or in the kernel's hand-over. */
  waiting(): number;
  /** Ends the answer, with its last piece where it has one: in one frame then, instead of two. */
  end(last?: Buffer): void;
  /** Cuts the answer short, so that the client sees it is not whole. */
  abort(): void;
  /** In place of head(): sends this head and hands the connection over. Only where the request can leave HTTP. */
  takeOver?(headers: Headers): ByteConnection;
}
