/**
 * The receiving end of one stream: keeps one connection open to the peer's stream endpoint and steps
 * what arrives. Dials again after every end, at most once per dialRetryMs; while the peer answers but
 * refuses us for good, ever slower. Bytes that are not frames close the connection and disturb nothing
 * else. (etcd: rafthttp stream.go streamReader.)
 */
import type { ClientRequest, IncomingMessage } from 'node:http';
import { type Timer, hexId } from '@keelson/base';
import type { Message, NodeId } from '@keelson/raft';
import { isLinkHeartbeat, mayStep } from './codec.ts';
import { Deadline } from './deadline.ts';
import { MessageDecoder } from './message-codec.ts';
import { MsgAppDecoder } from './msgapp-codec.ts';
import { PeerError, type PeerErrorCode } from './peer-error.ts';
import { headerOf, offersStreams, refusal, requestHeaders } from './peer-identity.ts';
import type { PeerContext } from './peer-options.ts';
import { dial, readAnswer } from './peer-request.ts';
import type { PeerStatus } from './peer-status.ts';
import type { StreamKind } from './stream-writer.ts';
import type { UrlPicker } from './url-picker.ts';

interface FrameDecoder {
  push(chunk: Buffer, take: (message: Message) => void): void;
}

/** Answers that will not change by asking again soon. */
const LASTING: ReadonlySet<PeerErrorCode> = new Set<PeerErrorCode>([
  'MEMBER_REMOVED',
  'CLUSTER_ID_MISMATCH',
  'INCOMPATIBLE_VERSION',
  'MEMBER_MISMATCH',
]);

/** The connection being dialled or read. */
interface Attempt {
  request: ClientRequest | undefined;
  readonly silence: Deadline;
  established: boolean;
}

export class StreamReader {
  private readonly context: PeerContext;
  private readonly peer: NodeId;
  private readonly kind: StreamKind;
  private readonly picker: UrlPicker;
  private readonly status: PeerStatus;
  private readonly take: (message: Message) => void;
  private attempt: Attempt | undefined = undefined;
  private retry: Timer | undefined = undefined;
  private dialledMs = 0;
  private refusedCount = 0;
  private stopped = false;
  /** While true, what arrives is dropped: a cut link, in tests. */
  paused = false;

  constructor(context: PeerContext, peer: NodeId, kind: StreamKind, picker: UrlPicker, status: PeerStatus) {
    this.context = context;
    this.peer = peer;
    this.kind = kind;
    this.picker = picker;
    this.status = status;
    this.take = (message) => this.receive(message);
  }

  start(): void {
    this.dialOnce();
  }

  stop(): void {
    this.stopped = true;
    this.retry?.cancel();
    const attempt = this.attempt;
    this.attempt = undefined;
    attempt?.silence.stop();
    attempt?.request?.destroy();
  }

  private dialOnce(): void {
    const { context, peer } = this;
    const url = this.picker.pick();
    const headers = requestHeaders(context.identity);
    headers['X-Raft-To'] = hexId(peer);
    this.dialledMs = context.clock.monotonicMs();
    const attempt: Attempt = {
      request: undefined,
      established: false,
      silence: new Deadline(context.clock, context.limits.readTimeoutMs, () =>
        this.end(attempt, new PeerError('TIMEOUT')),
      ),
    };
    this.attempt = attempt;
    attempt.silence.touch();
    const fail = (error: Error): void => {
      if (this.attempt !== attempt) return;
      if (!attempt.established) this.picker.unreachable(url);
      this.end(attempt, error);
    };
    attempt.request = dial(
      context,
      url,
      { method: 'GET', path: `/raft/stream/${this.kind}/${hexId(context.identity.memberId)}`, headers },
      (response) => {
        if (this.attempt !== attempt) {
          response.destroy();
        } else if (response.statusCode !== 200) {
          readAnswer(response, (body) => fail(refusal(response.statusCode ?? 0, body)));
        } else if (!offersStreams(headerOf(response.headers, 'x-server-version'))) {
          fail(new PeerError('INCOMPATIBLE_VERSION'));
        } else this.read(attempt, response);
      },
      fail,
    );
    attempt.request.on('close', () => fail(new PeerError('CONNECTION')));
    attempt.request.end();
  }

  private read(attempt: Attempt, response: IncomingMessage): void {
    const { identity, limits } = this.context;
    const decoder: FrameDecoder =
      this.kind === 'msgapp'
        ? new MsgAppDecoder(identity.memberId, this.peer, limits.messageBytesMax, limits.entryBytesMax)
        : new MessageDecoder(limits.messageBytesMax);
    attempt.established = true;
    this.refusedCount = 0;
    this.status.activate();
    this.context.logger.info('established TCP streaming connection with remote peer', this.fields());
    response.on('data', (chunk: Buffer) => {
      if (this.attempt !== attempt) return;
      attempt.silence.touch();
      this.status.counters.receivedBytes += chunk.length;
      try {
        decoder.push(chunk, this.take);
      } catch (error) {
        if (!(error instanceof PeerError)) throw error;
        this.status.counters.receivedFailures++;
        this.end(attempt, error);
      }
    });
    response.on('error', (error) => this.end(attempt, error));
    response.on('close', () => this.end(attempt, undefined));
  }

  private receive(message: Message): void {
    if (this.paused || this.stopped || isLinkHeartbeat(message)) return;
    const counters = this.status.counters;
    if (!mayStep(message, this.context.identity.memberId, this.peer)) {
      counters.receivedFailures++;
      if (this.context.logger.enabled('debug')) {
        this.context.logger.debug('dropped a Raft message that is not from this peer to this member', {
          ...this.fields(),
          'message-type': message.type,
          from: hexId(message.from),
          to: hexId(message.to),
        });
      }
      return;
    }
    counters.receivedMessages++;
    this.context.handler.step(this.peer, message);
  }

  /** Closes the attempt and plans the next. @param error undefined when the peer ended the stream itself */
  private end(attempt: Attempt, error: Error | undefined): void {
    if (this.attempt !== attempt) return;
    this.attempt = undefined;
    attempt.silence.stop();
    attempt.request?.destroy();
    const { context, status } = this;
    if (attempt.established) {
      context.logger.warn('lost TCP streaming connection with remote peer', {
        ...this.fields(),
        error: error?.message ?? 'EOF',
      });
    }
    if (error !== undefined) {
      status.deactivate(attempt.established ? 'read' : 'dial', `stream ${this.kind}`, error);
    }
    let delayMs = context.limits.dialRetryMs;
    if (error instanceof PeerError && LASTING.has(error.code)) {
      if (this.refusedCount === 0) {
        context.logger.warn('request sent was ignored by remote peer', {
          ...this.fields(),
          error: error.message,
        });
      }
      delayMs = Math.min(delayMs * 2 ** Math.min(this.refusedCount, 16), context.limits.refusedRetryMaxMs);
      this.refusedCount++;
      if (error.code === 'MEMBER_REMOVED') context.handler.reportRemoved?.(this.peer);
    } else this.refusedCount = 0;
    if (this.stopped) return; // the handler may have stopped us just now
    const waitMs = Math.max(0, this.dialledMs + delayMs - context.clock.monotonicMs());
    this.retry = context.clock.setTimer(waitMs, () => this.dialOnce());
  }

  private fields(): Record<string, string> {
    return {
      'stream-reader-type': `stream ${this.kind}`,
      'local-member-id': hexId(this.context.identity.memberId),
      'remote-peer-id': hexId(this.peer),
    };
  }
}
