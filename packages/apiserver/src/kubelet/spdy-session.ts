/**
 * A SPDY connection to a kubelet, seen from the client: streams that we open, each read and written by itself. What one
 * stream holds that nobody read is bounded: then the whole connection waits, as it does at the other end. Windows are
 * neither kept nor asked for; TCP's are what kubelets go by.
 *
 * Modelled on what client-go's remotecommand needs of moby/spdystream.
 */

import type { Clock } from '@keelson/base';

import type { ByteConnection } from '../api/exchange.ts';
import {
  dataFrames,
  endFrame,
  goAwayFrame,
  pingFrame,
  resetFrame,
  SpdyReader,
  SpdyWriter,
  type SpdyFrame,
} from './spdy-frames.ts';

/** What a stream keeps for its reader. */
const UNREAD_BYTES_MAX = 256 * 1024;
/** The original's: so that what lies between does not take the connection for idle. */
const PING_MS = 5_000;

export class SpdySession {
  private readonly connection: ByteConnection;
  private readonly writer = new SpdyWriter();
  private readonly streams = new Map<number, SpdyStream>();
  private readonly pings: { cancel(): void };
  private nextStream = 1;
  private nextPing = 1;
  private over = false;

  constructor(connection: ByteConnection, clock: Pick<Clock, 'setTimer'>) {
    this.connection = connection;
    let timer = { cancel: (): void => {} };
    const beat = (): void => {
      timer = clock.setTimer(PING_MS, () => {
        this.send(pingFrame(this.nextPing));
        this.nextPing = (this.nextPing + 2) % 0x7fffffff;
        beat();
      });
    };
    beat();
    this.pings = { cancel: () => timer.cancel() };
    void this.run();
  }

  /** Opens a stream; data may follow at once, and `replied` tells whether it was taken. */
  open(headers: Readonly<Record<string, string>>): SpdyStream {
    const id = this.nextStream;
    this.nextStream += 2;
    const stream = new SpdyStream(id, this);
    this.streams.set(id, stream);
    if (this.over) stream.finish(false);
    else this.send(this.writer.openFrame(id, headers));
    return stream;
  }

  /** @internal of streams; @returns false when enough is waiting */
  send(...frames: readonly Buffer[]): boolean {
    let more = true;
    if (!this.over) for (const frame of frames) more = this.connection.write(frame);
    return more;
  }

  /** @internal of streams */
  drained(): Promise<void> {
    return this.over ? Promise.resolve() : this.connection.drained();
  }

  /** Ends all streams and the connection; what was written goes out before. */
  close(): void {
    if (this.over) return;
    this.send(...[...this.streams.keys()].map((id) => resetFrame(id)), goAwayFrame());
    this.connection.end();
    this.finish();
  }

  private async run(): Promise<void> {
    const reader = new SpdyReader();
    try {
      for (;;) {
        const chunk = await this.connection.read();
        if (chunk === undefined) break;
        for (const frame of reader.frames(chunk)) await this.take(frame);
      }
    } catch {
      // A connection that broke, or speaks something else: its streams end where they are.
      this.connection.destroy();
    }
    this.finish();
  }

  private async take(frame: SpdyFrame): Promise<void> {
    switch (frame.kind) {
      case 'data': {
        const stream = this.streams.get(frame.stream);
        if (frame.data.length > 0) await stream?.deliver(frame.data);
        if (frame.last) stream?.finish(true);
        return;
      }
      case 'reply':
        this.streams.get(frame.stream)?.accept();
        if (frame.last) this.streams.get(frame.stream)?.finish(true);
        return;
      case 'reset':
        // Kubelets end streams so when all is said.
        this.streams.get(frame.stream)?.finish(true);
        return;
      case 'opened':
        this.send(resetFrame(frame.stream));
        return;
      case 'ping':
        // Ours have odd numbers and come back.
        if (frame.id % 2 === 0) this.send(pingFrame(frame.id));
        return;
      case 'go-away':
        return;
    }
  }

  private finish(): void {
    this.over = true;
    this.pings.cancel();
    for (const stream of this.streams.values()) stream.finish(false);
  }
}

/** One stream of a session. */
export class SpdyStream {
  /** Resolves with whether the other side took the stream. */
  readonly replied: Promise<boolean>;
  private readonly id: number;
  private readonly session: SpdySession;
  private answer: (taken: boolean) => void = () => {};
  private readonly chunks: Buffer[] = [];
  private unread = 0;
  private over = false;
  private ended = false;
  private endedByPeer = false;
  private wakeReader: (() => void) | undefined;
  private wakeSession: (() => void) | undefined;

  constructor(id: number, session: SpdySession) {
    this.id = id;
    this.session = session;
    this.replied = new Promise((resolve) => {
      this.answer = resolve;
    });
  }

  /** What came next; undefined at the end. One read at a time. */
  async read(): Promise<Buffer | undefined> {
    while (this.chunks.length === 0 && !this.over) {
      await new Promise<void>((resolve) => {
        this.wakeReader = resolve;
      });
    }
    const chunk = this.chunks.shift();
    if (chunk !== undefined) {
      this.unread -= chunk.length;
      if (this.unread < UNREAD_BYTES_MAX) this.wakeSession?.();
    }
    return chunk;
  }

  /** Sends, at the connection's pace; not copied. */
  async write(data: Buffer): Promise<void> {
    if (this.ended) return;
    if (!this.session.send(...dataFrames(this.id, data))) await this.session.drained();
  }

  /** Ends our half. */
  end(): void {
    if (this.ended) return;
    this.ended = true;
    this.session.send(endFrame(this.id));
  }

  /** @internal of the session */
  accept(): void {
    this.answer(true);
  }

  /** @internal of the session; resolves when more may come */
  async deliver(data: Buffer): Promise<void> {
    if (this.over) return;
    this.chunks.push(data);
    this.unread += data.length;
    this.wakeReader?.();
    if (this.unread < UNREAD_BYTES_MAX) return;
    await new Promise<void>((resolve) => {
      this.wakeSession = resolve;
    });
  }

  /** Whether the other side ended it, and it was not the connection that broke. */
  get whole(): boolean {
    return this.endedByPeer;
  }

  /** @internal of the session: nothing more comes */
  finish(byPeer: boolean): void {
    if (this.over) return;
    this.over = true;
    this.endedByPeer = byPeer;
    this.answer(false);
    this.wakeReader?.();
    this.wakeSession?.();
  }
}
