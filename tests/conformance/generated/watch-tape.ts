/** A watch stream of a generated script: what came back, by watch id, to be compared when the script is over. */
import { etcdserverpb as pb, services } from '@keelson/proto';
import type { CallOptions, ClientStream } from '@keelson/rpc';
import type { MemberApi } from '../../harness/member-api.ts';
import { eventLine } from '../watch-conversation.ts';

export class WatchTape {
  /** Everything but events: watches created, refused, cancelled. */
  answers = 0;
  private readonly stream: ClientStream<pb.WatchRequest, pb.WatchResponse>;
  private readonly heard = new Map<bigint, string[]>();
  private ended: string | undefined;
  private wake: () => void = () => {};

  constructor(api: MemberApi, options: CallOptions) {
    this.stream = api.channel.bidi(services.Watch.methods.watch, options);
    this.stream.onMessage((response) => this.take(response));
    this.stream.onEnd((error) => {
      this.ended = error === undefined ? 'OK' : `${error.code} ${error.message}`;
      this.wake();
    });
  }

  create(request: Partial<pb.WatchCreateRequest>): void {
    this.write(new pb.WatchRequest({ createRequest: new pb.WatchCreateRequest(request) }));
  }

  cancel(watchId: bigint): void {
    this.write(new pb.WatchRequest({ cancelRequest: new pb.WatchCancelRequest({ watchId }) }));
  }

  private write(request: pb.WatchRequest): void {
    if (this.ended === undefined) this.stream.write(request);
  }

  /** Whether a watch of that id is there to be cancelled; an unknown one is not answered. */
  has(watchId: bigint): boolean {
    const lines = this.heard.get(watchId) ?? [];
    return (
      lines.some((line) => line.startsWith('created true canceled false')) &&
      !lines.some((line) => line.includes('canceled true'))
    );
  }

  /** Resolves when so many answers have come, or the stream is over, or nothing came for long. */
  async answered(count: number, timeoutMs = 20_000): Promise<void> {
    const untilMs = performance.now() + timeoutMs;
    while (this.answers < count && this.ended === undefined && performance.now() < untilMs) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 200);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** All lines so far. Watches have no order among each other. */
  lines(): string[] {
    const ids = [...this.heard.keys()].sort((a, b) => (a < b ? -1 : 1));
    const lines = ids.flatMap((id) => (this.heard.get(id) ?? []).map((line) => `watch ${id}: ${line}`));
    return [...lines, `ended: ${this.ended ?? 'no'}`];
  }

  close(): void {
    this.stream.cancel();
  }

  private take(response: pb.WatchResponse): void {
    const lines = this.heard.get(response.watchId) ?? [];
    this.heard.set(response.watchId, lines);
    for (const event of response.events) lines.push(eventLine(event));
    if (response.events.length > 0) return;
    const { created, canceled, compactRevision, cancelReason } = response;
    lines.push(
      `created ${created} canceled ${canceled} compact revision ${compactRevision} reason ${JSON.stringify(cancelReason)}`,
    );
    this.answers++;
    this.wake();
  }
}
