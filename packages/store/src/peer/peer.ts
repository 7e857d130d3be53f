/**
 * One other member: its two streams each way, its pipeline, its snapshots, its probes, and the choice
 * between them. Messages that find no room are dropped and reported; raft repeats what matters.
 * (etcd: rafthttp peer.go; remote.go for members that are not known yet.)
 */
import type { Socket } from 'node:net';
import { hexId } from '@keelson/base';
import { type Message, MessageType, type NodeId } from '@keelson/raft';
import { PeerError } from './peer-error.ts';
import type { PeerContext } from './peer-options.ts';
import { PeerStatus } from './peer-status.ts';
import { Pipeline } from './pipeline.ts';
import { Prober } from './prober.ts';
import { type SnapshotSending, closeBody, sendSnapshot } from './snapshot-stream.ts';
import { StreamReader } from './stream-reader.ts';
import { type StreamKind, StreamWriter } from './stream-writer.ts';
import { UrlPicker } from './url-picker.ts';

/** The bounded queues between this member and one other. */
export interface PeerQueues {
  /** On streams. */
  readonly messages: number;
  readonly messagesMax: number;
  readonly bytes: number;
  readonly bytesMax: number;
  /** On the pipeline. */
  readonly posts: number;
  readonly postsMax: number;
}

export class Peer {
  readonly id: NodeId;
  readonly status: PeerStatus;
  private readonly context: PeerContext;
  private readonly picker: UrlPicker;
  private readonly msgAppWriter: StreamWriter;
  private readonly messageWriter: StreamWriter;
  private readonly readers: readonly StreamReader[];
  private readonly pipeline: Pipeline;
  private readonly prober: Prober;
  private readonly snapshots = new Set<SnapshotSending>();
  private stopped = false;
  /** While true, nothing goes out and what comes in is dropped: a cut link, in tests. */
  private cut = false;

  /** @throws PeerError 'INVALID_URL' */
  constructor(context: PeerContext, id: NodeId, urls: readonly string[]) {
    this.id = id;
    this.context = context;
    this.picker = new UrlPicker(urls);
    this.status = new PeerStatus(id, context.clock, context.logger, (peer) =>
      context.handler.reportConnected?.(peer),
    );
    this.msgAppWriter = new StreamWriter(context, id, 'msgapp', this.status);
    this.messageWriter = new StreamWriter(context, id, 'message', this.status);
    this.readers = [
      new StreamReader(context, id, 'msgapp', this.picker, this.status),
      new StreamReader(context, id, 'message', this.picker, this.status),
    ];
    this.pipeline = new Pipeline(context, id, this.picker, this.status);
    this.prober = new Prober(context, id, this.picker, this.status);
  }

  start(): void {
    for (const reader of this.readers) reader.start();
    this.prober.start();
  }

  /** What waits on the links, of both streams together, and how much may. */
  get queues(): PeerQueues {
    const { limits } = this.context;
    const append = this.msgAppWriter.waiting;
    const other = this.messageWriter.waiting;
    return {
      messages: append.messages + other.messages,
      messagesMax: 2 * limits.streamQueueMax,
      bytes: append.bytes + other.bytes,
      bytesMax: 2 * limits.streamQueueBytesMax,
      posts: this.pipeline.waitingCount,
      postsMax: limits.pipelineQueueMax,
    };
  }

  get paused(): boolean {
    return this.cut;
  }

  /** Puts a message on its way; streams wait for flush(). */
  send(message: Message): void {
    if (this.cut || this.stopped) return;
    if (!this.route(message)) {
      this.status.counters.sentFailures++;
      if (this.context.logger.enabled('debug')) {
        this.context.logger.debug('dropped internal Raft message since sending buffer is full', {
          'remote-peer-id': hexId(this.id),
          'message-type': message.type,
          'remote-peer-active': this.status.active,
        });
      }
      this.context.handler.reportUnreachable(this.id);
      if (message.type === MessageType.Snap) this.context.handler.reportSnapshot(this.id, false);
    }
  }

  /** Writes what send() collected: at most one write per stream. */
  flush(): void {
    this.msgAppWriter.flush();
    this.messageWriter.flush();
  }

  /** Sends a MsgSnap with a body of exactly `bytes` bytes; the outcome is reported to the handler. */
  sendSnapshot(message: Message, body: AsyncIterable<Buffer>, bytes: number): void {
    const { handler, logger } = this.context;
    const counters = this.status.counters;
    if (this.stopped || this.cut) {
      closeBody(body, (error) => logger.warn('failed to close a snapshot', { error: String(error) }));
      handler.reportUnreachable(this.id);
      handler.reportSnapshot(this.id, false);
      return;
    }
    const fields = {
      'snapshot-index': message.snapshot?.index ?? 0,
      'remote-peer-id': hexId(this.id),
      bytes,
    };
    logger.info('sending database snapshot', fields);
    const url = this.picker.pick();
    const sending = sendSnapshot(this.context, url, this.id, message, body, bytes);
    this.snapshots.add(sending);
    counters.snapshotsSending++;
    const finish = (error: Error | undefined): void => {
      this.snapshots.delete(sending);
      counters.snapshotsSending--;
      if (error === undefined) {
        counters.snapshotsSent++;
        counters.sentBytes += bytes;
        if (this.stopped) return;
        this.status.activate();
        logger.info('sent database snapshot', fields);
        handler.reportSnapshot(this.id, true);
        return;
      }
      counters.snapshotsSentFailed++;
      counters.sentFailures++;
      if (this.stopped) return;
      logger.warn('failed to send database snapshot', { ...fields, error: error.message });
      this.picker.unreachable(url);
      this.status.deactivate('post', 'sendMsgSnap', error);
      handler.reportUnreachable(this.id);
      handler.reportSnapshot(this.id, false);
      if (error instanceof PeerError && error.code === 'MEMBER_REMOVED') handler.reportRemoved?.(this.id);
    };
    sending.done.then(() => finish(undefined), finish);
  }

  /** Takes over a stream connection that the peer opened to us. */
  attach(kind: StreamKind, socket: Socket): void {
    (kind === 'msgapp' ? this.msgAppWriter : this.messageWriter).attach(socket);
  }

  /** @throws PeerError 'INVALID_URL'; the old URLs stay then */
  update(urls: readonly string[]): void {
    this.picker.update(urls);
  }

  pause(): void {
    this.cut = true;
    for (const reader of this.readers) reader.paused = true;
  }

  resume(): void {
    this.cut = false;
    for (const reader of this.readers) reader.paused = false;
  }

  /** Ends every connection; nothing is reported any more, and what was not written may be lost. */
  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    this.prober.stop();
    for (const reader of this.readers) reader.stop();
    this.msgAppWriter.stop();
    this.messageWriter.stop();
    this.pipeline.stop();
    for (const sending of this.snapshots) sending.abort(new PeerError('STOPPED'));
  }

  /** A MsgApp on its stream, everything else on the message stream; without streams, the pipeline. */
  private route(message: Message): boolean {
    if (message.type === MessageType.Snap) return this.pipeline.send(message);
    if (message.type === MessageType.App && this.msgAppWriter.attached) {
      return this.msgAppWriter.enqueue(message);
    }
    if (this.messageWriter.attached) return this.messageWriter.enqueue(message);
    return this.pipeline.send(message);
  }
}

/**
 * A member that introduced itself (X-PeerURLs) before we learnt of it from the log: we can answer it, by
 * pipeline only, so that a joining or lagging member catches up. Forgotten when it becomes a peer.
 */
export class Remote {
  readonly status: PeerStatus;
  private readonly pipeline: Pipeline;

  /** @throws PeerError 'INVALID_URL' */
  constructor(context: PeerContext, id: NodeId, urls: readonly string[]) {
    this.status = new PeerStatus(id, context.clock, context.logger);
    this.pipeline = new Pipeline(context, id, new UrlPicker(urls), this.status);
  }

  send(message: Message): void {
    if (!this.pipeline.send(message)) this.status.counters.sentFailures++;
  }

  stop(): void {
    this.pipeline.stop();
  }
}
