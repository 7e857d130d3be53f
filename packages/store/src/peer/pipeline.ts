/**
 * Messages as single POSTs to /raft: the way while a stream is missing, and for a MsgSnap without a body
 * of its own. A few at a time, a short queue behind; not in order. (etcd: rafthttp pipeline.go.)
 */
import { Ring } from '@keelson/base';
import { type Message, MessageType, type NodeId } from '@keelson/raft';
import { encodeMessage } from './codec.ts';
import { PeerError } from './peer-error.ts';
import type { PeerContext } from './peer-options.ts';
import { type Post, openPost } from './peer-request.ts';
import type { PeerStatus } from './peer-status.ts';
import type { UrlPicker } from './url-picker.ts';

export class Pipeline {
  private readonly context: PeerContext;
  private readonly peer: NodeId;
  private readonly picker: UrlPicker;
  private readonly status: PeerStatus;
  private readonly queue = new Ring<Message>();
  private readonly posts = new Set<Post>();
  private stopped = false;

  constructor(context: PeerContext, peer: NodeId, picker: UrlPicker, status: PeerStatus) {
    this.context = context;
    this.peer = peer;
    this.picker = picker;
    this.status = status;
  }

  /** Messages that wait for their turn. */
  get waitingCount(): number {
    return this.queue.length;
  }

  /** Posts the message when its turn comes; false when the queue is full. Failures are reported. */
  send(message: Message): boolean {
    if (this.stopped) return false;
    if (this.posts.size < this.context.limits.pipelineConnectionsMax) {
      this.post(message);
      return true;
    }
    if (this.queue.length >= this.context.limits.pipelineQueueMax) return false;
    this.queue.push(message);
    return true;
  }

  /** Ends the posts under way; nothing is reported any more. */
  stop(): void {
    this.stopped = true;
    this.queue.clear();
    for (const post of this.posts) post.abort(new PeerError('STOPPED'));
    this.posts.clear();
  }

  private post(message: Message): void {
    const bytes = encodeMessage(message);
    const url = this.picker.pick();
    const post = openPost(this.context, url, this.peer, '/raft', 'application/protobuf', bytes.length);
    this.posts.add(post);
    post.expectWithin(this.context.limits.readTimeoutMs);
    post.request.end(bytes);
    post.answered.then(
      () => this.finish(post, () => this.sent(message, bytes.length)),
      (error: PeerError) =>
        this.finish(post, () => {
          this.picker.unreachable(url);
          this.failed(message, error);
        }),
    );
  }

  private finish(post: Post, report: () => void): void {
    if (this.stopped) return;
    this.posts.delete(post);
    report();
    const next = this.queue.shift();
    if (next !== undefined && !this.stopped) this.post(next);
  }

  private sent(message: Message, bytes: number): void {
    this.status.activate();
    this.status.counters.sentBytes += bytes;
    this.status.counters.sentMessages++;
    if (message.type === MessageType.Snap) this.context.handler.reportSnapshot(this.peer, true);
  }

  private failed(message: Message, error: PeerError): void {
    const handler = this.context.handler;
    this.status.deactivate('write', 'pipeline', error);
    this.status.counters.sentFailures++;
    handler.reportUnreachable(this.peer);
    if (message.type === MessageType.Snap) handler.reportSnapshot(this.peer, false);
    if (error.code === 'MEMBER_REMOVED') handler.reportRemoved?.(this.peer);
  }
}
