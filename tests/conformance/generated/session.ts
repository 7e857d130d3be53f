/**
 * One side of a generated script: a connection, what has been learnt on the way (revision, tokens) and the
 * watch streams that are open. Both sides of a comparison are given the same steps.
 */
import { etcdserverpb as pb, services } from '@keelson/proto';
import { Metadata, type MethodDescriptor } from '@keelson/rpc';
import type { MemberApi } from '../../harness/member-api.ts';
import { WatchTape } from './watch-tape.ts';

/** Nothing takes this long, but a large request on a busy machine. */
const CALL_MS = 20_000;

export class Session {
  readonly api: MemberApi;
  /** By stream number; those of one script. */
  readonly watches = new Map<number, WatchTape>();
  /** Revisions that were compacted, at any time. */
  readonly compacted = new Set<number>();
  private readonly tokens = new Map<string, string>();
  private revision = 1;

  constructor(api: MemberApi) {
    this.api = api;
  }

  /** The newest revision that an answer has named, plus `offset`. */
  rev(offset = 0): number {
    return this.revision + offset;
  }

  /** @param user whose token goes with it; undefined for none */
  async call<Req, Res extends object>(
    method: MethodDescriptor<Req, Res>,
    request: Req,
    user?: string,
  ): Promise<Res> {
    const response = await this.api.call(method, request, {
      timeoutMs: CALL_MS,
      ...(user === undefined ? {} : { metadata: this.credentials(user) }),
    });
    this.learn(response);
    return response;
  }

  /** Remembers the token, and answers without it: no two sides have the same. */
  async authenticate(name: string, password: string): Promise<object> {
    const request = new pb.AuthenticateRequest({ name, password });
    const response = await this.call(services.Auth.methods.authenticate, request);
    this.tokens.set(name, response.token);
    return { header: response.header, token: response.token === '' ? 'empty' : 'some' };
  }

  watch(stream: number, user?: string): WatchTape {
    let open = this.watches.get(stream);
    if (open === undefined) {
      open = new WatchTape(this.api, user === undefined ? {} : { metadata: this.credentials(user) });
      this.watches.set(stream, open);
    }
    return open;
  }

  /** What the open streams have heard so far. */
  watchLines(): string[] {
    return [...this.watches].flatMap(([n, tape]) => tape.lines().map((line) => `stream ${n} ${line}`));
  }

  closeWatches(): void {
    for (const tape of this.watches.values()) tape.close();
    this.watches.clear();
  }

  /** Asks for the revision where no answer tells it. */
  async refresh(): Promise<void> {
    this.revision = await this.api.revision({ timeoutMs: CALL_MS });
  }

  private credentials(user: string): Metadata {
    return Metadata.of({ token: this.tokens.get(user) ?? `${user} has no token` });
  }

  private learn(response: object): void {
    if (!('header' in response)) return;
    const { header } = response;
    if (header instanceof pb.ResponseHeader && header.revision > this.revision)
      this.revision = header.revision;
  }
}
