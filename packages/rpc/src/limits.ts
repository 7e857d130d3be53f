/**
 * Every bound of the native transport, with its reason. What a peer can make grow is bounded here: frames,
 * headers, windows, buffers, and how often it may do what costs us more than it. The defaults refuse
 * nothing that a correct client of etcd does; where a bound could, it is off and an option turns it on.
 */

export interface Limits {
  /** A stream's receive window: four times HTTP/2's default, so that a pipe of 1 ms keeps 250 MB/s. */
  readonly streamWindowBytes: number;
  /** A connection's receive window. Given back on receipt, so a stream nobody reads cannot stop the others. */
  readonly connectionWindowBytes: number;
  /** What may lie unread on one connection before its window is no longer given back. */
  readonly unreadBytesMax: number;
  /** A header block on the wire, and its fields decoded (RFC 9113 §6.5.2 counting). As Node. */
  readonly headerBytesMax: number;
  readonly headerPairsMax: number;
  /** Frames of one header block: our own peers need one; 64 KiB in the smallest sensible pieces need 32. */
  readonly continuationsMax: number;
  /** Waiting in the socket before streams stop writing: one good `write`, so the kernel never runs dry. */
  readonly socketHighWaterBytes: number;
  /** Waiting in the socket, also by frames no window governs, before the connection is cut. */
  readonly socketBytesMax: number;
  /** Messages waiting for a window on one connection before new calls are refused. */
  readonly stalledBytesMax: number;
  /** A client must send its preface and settings within this time. As the TLS handshake of etcd. */
  readonly handshakeMs: number;
  /** After GOAWAY for an error the peer has this long to read it. */
  readonly lingerMs: number;
  /** Pings a client may send too early before it is sent away, as grpc-go. */
  readonly pingStrikesMax: number;
  /** Least time between a client's pings while calls run, and while none does (grpc-go: 5 s by etcd, 2 h). */
  readonly pingIntervalMs: number;
  readonly pingIdleIntervalMs: number;
  /** What may happen at once, and how many times a second in the long run. */
  readonly settings: Rate;
  /** PRIORITY, frames of unknown type, DATA without a byte: they do nothing. */
  readonly idleFrames: Rate;
  /** Streams we had to reset because the client broke a rule (CVE-2025-8671). */
  readonly streamErrors: Rate;
  /**
   * Streams the client resets. Off: a client that cancels a thousand watches at once is no attack, and a
   * reset stream counts against maxConcurrentStreams until its handler has ended (CVE-2023-44487).
   */
  readonly resets: Rate | undefined;
}

export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

export const DEFAULT_LIMITS: Limits = {
  streamWindowBytes: 256 * 1024,
  connectionWindowBytes: 4 * 1024 * 1024,
  unreadBytesMax: 64 * 1024 * 1024,
  headerBytesMax: 64 * 1024,
  headerPairsMax: 128,
  continuationsMax: 32,
  socketHighWaterBytes: 512 * 1024,
  socketBytesMax: 32 * 1024 * 1024,
  stalledBytesMax: 256 * 1024 * 1024,
  handshakeMs: 10_000,
  lingerMs: 1000,
  pingStrikesMax: 2,
  pingIntervalMs: 5000,
  pingIdleIntervalMs: 2 * 3600 * 1000,
  settings: { burst: 100, perSecond: 10 },
  idleFrames: { burst: 2000, perSecond: 500 },
  streamErrors: { burst: 100, perSecond: 10 },
  resets: undefined,
};

/** The rate for `Limits.resets` where clients are not trusted (the limits table of the reference). */
export const STRICT_RESETS: Rate = { burst: 200, perSecond: 20 };

/** A bucket that fills with time: `take` is false when more happened than the rate allows. */
export class Meter {
  private readonly rate: Rate;
  private left: number;
  private takenMs = 0;

  constructor(rate: Rate) {
    this.rate = rate;
    this.left = rate.burst;
  }

  take(nowMs: number): boolean {
    const gained = ((nowMs - this.takenMs) * this.rate.perSecond) / 1000;
    this.left = Math.min(this.rate.burst, this.left + gained);
    this.takenMs = nowMs;
    if (this.left < 1) return false;
    this.left--;
    return true;
  }
}
