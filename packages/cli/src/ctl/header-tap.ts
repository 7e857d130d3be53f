/**
 * Keeps the header of the newest response on the client's streams. The client resumes watches and keep-alives
 * over several streams and so hands out no headers; etcdctl's output shows them. A tap sees each response just
 * before the client does. It changes nothing.
 */
import { etcdserverpb } from '@keelson/proto';
import type {
  CallOptions,
  Channel,
  ChannelState,
  ClientReader,
  ClientStream,
  MethodDescriptor,
} from '@keelson/rpc';

export class HeaderTap {
  /** Of the newest response on any stream. */
  header: etcdserverpb.ResponseHeader = new etcdserverpb.ResponseHeader();

  /** The channel, watched. */
  on(channel: Channel): Channel {
    return new TappedChannel(channel, this);
  }

  /** @param message any response; one without a header is passed over */
  saw(message: unknown): void {
    if (typeof message !== 'object' || message === null || !('header' in message)) return;
    if (message.header instanceof etcdserverpb.ResponseHeader) this.header = message.header;
  }
}

class TappedChannel implements Channel {
  private readonly channel: Channel;
  private readonly tap: HeaderTap;

  constructor(channel: Channel, tap: HeaderTap) {
    this.channel = channel;
    this.tap = tap;
  }

  get address(): string {
    return this.channel.address;
  }
  get state(): ChannelState {
    return this.channel.state;
  }
  onStateChange(task: (state: ChannelState) => void): () => void {
    return this.channel.onStateChange(task);
  }
  connect(timeoutMs: number): Promise<void> {
    return this.channel.connect(timeoutMs);
  }
  unary<Req, Res>(method: MethodDescriptor<Req, Res>, request: Req, options?: CallOptions): Promise<Res> {
    return this.channel.unary(method, request, options);
  }
  serverStream<Req, Res>(
    method: MethodDescriptor<Req, Res>,
    request: Req,
    options?: CallOptions,
  ): ClientReader<Res> {
    return this.channel.serverStream(method, request, options);
  }
  bidi<Req, Res>(method: MethodDescriptor<Req, Res>, options?: CallOptions): ClientStream<Req, Res> {
    const stream = this.channel.bidi(method, options);
    const subscribe = stream.onMessage.bind(stream);
    stream.onMessage = (task) => {
      subscribe((message) => {
        this.tap.saw(message);
        task(message);
      });
    };
    return stream;
  }
  close(): void {
    this.channel.close();
  }
}
