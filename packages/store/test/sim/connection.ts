/**
 * A client's connection to a member: calls and streams go to the member's own table of services, in process and through the
 * codecs, each way after the network's delay and in order where a connection keeps order. It breaks when the process
 * it leads to ends, or when the network resets it; what was under way then is unknown.
 */
import type { etcdserverpb } from '@keelson/proto';
import {
  inProcessChannel,
  Metadata,
  RpcError,
  StatusCode,
  type Channel,
  type ClientStream,
  type MethodDescriptor,
} from '@keelson/rpc';
import type { Life, Stage } from './life.ts';
import type { SimMember } from './member.ts';
import { settle } from './microtasks.ts';
import type { SimWires } from './transport.ts';

/** Where nothing passes, a connection is given up by its client after so long at most. */
const SILENCE_MS = 5000;
/** Messages on their way to a client that is slow, above which it reads no more for now. */
const READ_AHEAD = 4;

export function brokenError(text = 'the connection was lost'): RpcError {
  return new RpcError(StatusCode.Unavailable, text);
}

export interface CallSettings {
  readonly token: string | undefined;
  /** The client gives up after so long. */
  readonly timeoutMs: number;
  /** The member is told of the timeout. */
  readonly tellsTimeout: boolean;
  /** The client cancels after so long; undefined: never. */
  readonly cancelAfterMs: number | undefined;
}

export class Connection {
  readonly member: SimMember;
  readonly life: Life;
  open = true;
  /** Something was lost on its way: what is sent behind it waits for it, and in the end nobody waits any more. */
  private stalled = false;
  private readonly stage: Stage;
  private readonly wires: SimWires;
  private readonly place: number;
  private readonly channel: Channel;
  private readonly breakTasks = new Set<() => void>();
  private onBroken: () => void = () => {};

  /** @param place of the client, for the trace */
  constructor(stage: Stage, wires: SimWires, member: SimMember, place: number) {
    const { life, server } = member;
    if (life === undefined || server === undefined) throw new Error(`${member.name} does not run`);
    this.stage = stage;
    this.wires = wires;
    this.member = member;
    this.life = life;
    this.place = place;
    this.channel = inProcessChannel(server.table, {
      hooks: server.hooks,
      clock: life,
      defer: life.defer,
      maxReceiveBytes: stage.options.requestBytesMax + 512 * 1024,
    });
  }

  /** Whether what is sent now arrives. @param outward from the client to the member */
  passes(outward: boolean): boolean {
    const { wires, place, stage, member } = this;
    if (this.stalled) return false;
    const way = outward ? `${place}>${member.place}` : `${member.place}>${place}`;
    if (wires.cutOff.size === 0 || !wires.cutOff.has(way)) return true;
    this.stalled = true;
    stage.happened('clientPartition', way);
    stage.reach('client cut off from its member');
    stage.scheduler.later(SILENCE_MS / 10 + wires.delay() * 10, 'client silence', place, () => this.break());
    return false;
  }

  /** Told once when it breaks. */
  set broken(task: () => void) {
    this.onBroken = task;
  }

  /** @param done called once, with the answer or why there is none */
  call<Req, Res>(
    method: MethodDescriptor<Req, Res>,
    message: Req,
    settings: CallSettings,
    done: (answer: Res | undefined, error: RpcError | undefined) => void,
  ): void {
    const { life, stage } = this;
    const abort = settings.cancelAfterMs === undefined ? undefined : new AbortController();
    let over = false;
    const finish = (answer: Res | undefined, error: RpcError | undefined): void => {
      if (over) return;
      over = true;
      this.breakTasks.delete(broken);
      done(answer, error);
    };
    const broken = (): void => finish(undefined, brokenError());
    this.breakTasks.add(broken);
    const give = (delayMs: number, code: StatusCode, text: string): void =>
      stage.scheduler.later(delayMs, 'gives up', this.place, () => {
        if (over) return;
        finish(undefined, new RpcError(code, text));
        abort?.abort();
        settle();
      });
    if (settings.cancelAfterMs !== undefined)
      give(settings.cancelAfterMs, StatusCode.Cancelled, 'context canceled');
    give(settings.timeoutMs, StatusCode.DeadlineExceeded, 'context deadline exceeded');
    if (!this.passes(true)) return;
    life.later(this.wires.delay(), 'call', () => {
      if (!this.open || over) return;
      const options = {
        ...(settings.token !== undefined && { metadata: metadataOf(settings.token) }),
        ...(settings.tellsTimeout && { timeoutMs: settings.timeoutMs }),
        ...(abort !== undefined && { signal: abort.signal }),
      };
      this.channel.unary(method, message, options).then(
        (answer) => this.back(() => finish(answer, undefined)),
        (error: unknown) =>
          this.back(() =>
            finish(
              undefined,
              error instanceof RpcError ? error : new RpcError(StatusCode.Unknown, String(error)),
            ),
          ),
      );
    });
  }

  /** What the member says reaches the client later, if it still can. */
  private back(task: () => void): void {
    if (this.life.ended || !this.open || !this.passes(false)) return;
    this.stage.scheduler.later(this.wires.delay(), 'answer', this.place, () => {
      if (!this.open) return;
      task();
      settle();
    });
  }

  stream<Req, Res>(
    method: MethodDescriptor<Req, Res>,
    token: string | undefined,
    handlers: StreamHandlers<Res>,
  ): SimStream<Req, Res> {
    const options = token === undefined ? {} : { metadata: metadataOf(token) };
    return this.opened(handlers, () => this.channel.bidi(method, options));
  }

  /** One question, many messages. */
  reader<Req, Res>(
    method: MethodDescriptor<Req, Res>,
    message: Req,
    token: string | undefined,
    handlers: StreamHandlers<Res>,
  ): SimStream<never, Res> {
    const options = token === undefined ? {} : { metadata: metadataOf(token) };
    return this.opened(handlers, () => this.channel.serverStream(method, message, options));
  }

  private opened<Req, Res>(handlers: StreamHandlers<Res>, open: () => Opened<Req, Res>): SimStream<Req, Res> {
    const stream = new SimStream<Req, Res>(this.stage, this.wires, this, this.place, handlers, open);
    const broken = (): void => stream.broke();
    this.breakTasks.add(broken);
    stream.forget = () => this.breakTasks.delete(broken);
    return stream;
  }

  break(): void {
    if (!this.open) return;
    this.open = false;
    for (const task of [...this.breakTasks]) task();
    this.breakTasks.clear();
    // The member hears of it as well.
    this.life.later(this.wires.delay(), 'client gone', () => this.channel.close());
    this.onBroken();
    settle();
  }
}

/** What a channel gives for a stream, without what nobody here asks of it. */
type Opened<Req, Res> = Pick<
  ClientStream<Req, Res>,
  'onMessage' | 'onEnd' | 'pause' | 'resume' | 'cancel'
> & { write?(message: Req): unknown };

export interface StreamHandlers<Res> {
  /** The member says it, at its own time; `late`: it may have said it before, to a client that did not read. */
  readonly said?: (message: Res, late: boolean) => void;
  readonly message: (message: Res) => void;
  readonly end: (error: RpcError | undefined) => void;
  /** Ms the client takes for a message. */
  readonly pace: () => number;
}

export class SimStream<Req, Res> {
  forget: () => void = () => {};
  over = false;
  private readonly stage: Stage;
  private readonly wires: SimWires;
  private readonly connection: Connection;
  private readonly place: number;
  private readonly handlers: StreamHandlers<Res>;
  private stream: Opened<Req, Res> | undefined = undefined;
  private readonly outward: (() => void)[] = [];
  private readonly inward: (() => void)[] = [];
  private busyUntil = 0;
  private paused = false;
  private wasPaused = false;

  constructor(
    stage: Stage,
    wires: SimWires,
    connection: Connection,
    place: number,
    handlers: StreamHandlers<Res>,
    open: () => Opened<Req, Res>,
  ) {
    this.stage = stage;
    this.wires = wires;
    this.connection = connection;
    this.place = place;
    this.handlers = handlers;
    this.toMember(() => {
      const stream = open();
      this.stream = stream;
      stream.onMessage((message) => {
        if (!this.connection.life.ended) handlers.said?.(message, this.wasPaused);
        this.toClient(() => handlers.message(message));
      });
      stream.onEnd((error) => this.toClient(() => this.finish(error)));
    });
  }

  write(message: Req): void {
    this.toMember(() => this.stream?.write?.(message));
  }

  /** The client ends the stream. */
  cancel(): void {
    this.toMember(() => this.stream?.cancel());
  }

  broke(): void {
    this.finish(brokenError());
  }

  private finish(error: RpcError | undefined): void {
    if (this.over) return;
    this.over = true;
    this.forget();
    this.handlers.end(error);
  }

  private toMember(task: () => void): void {
    this.outward.push(task);
    const { connection } = this;
    if (!connection.passes(true)) {
      this.outward.pop();
      return;
    }
    connection.life.later(this.wires.delay(), 'stream out', () => {
      const next = this.outward.shift();
      if (connection.open) next?.();
    });
  }

  private toClient(task: () => void): void {
    const { stage, connection } = this;
    if (connection.life.ended || !connection.open || this.over || !connection.passes(false)) return;
    this.inward.push(task);
    const pace = this.handlers.pace();
    const { now } = stage.scheduler;
    this.busyUntil = Math.max(this.busyUntil, now) + pace;
    if (pace > 0 && !this.paused && this.inward.length > READ_AHEAD) {
      this.paused = true;
      this.wasPaused = true;
      this.stream?.pause();
    }
    stage.scheduler.later(this.busyUntil - now + this.wires.delay(), 'stream in', this.place, () => {
      const next = this.inward.shift();
      if (!connection.open || this.over) return;
      next?.();
      if (this.paused && this.inward.length === 0) {
        this.paused = false;
        connection.life.enter('reads on', () => this.stream?.resume());
      }
      settle();
    });
  }
}

/** The stream of a client's watches. */
export type SimWatchStream = SimStream<etcdserverpb.WatchRequest, etcdserverpb.WatchResponse>;

function metadataOf(token: string): Metadata {
  const metadata = new Metadata();
  metadata.set('token', token);
  return metadata;
}
