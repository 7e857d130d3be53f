/** Requests as a user by the administrator's leave, over connections of its own. */
import { systemClock } from '@keelson/base';
import { HttpsTransport } from '@keelson/kube-client';
import type { AdminCredentials } from './apiserver-process.ts';

export interface TenantAnswer {
  readonly code: number;
  /** Of the body. */
  readonly bytes: number;
}

export class Tenant {
  private readonly transport: HttpsTransport;
  private readonly user: string | undefined;

  /** @param user undefined: the administrator */
  constructor(url: string, { ca, cert, key }: AdminCredentials, user: string | undefined) {
    this.transport = new HttpsTransport({ server: url, clock: systemClock, tls: { ca, cert, key } });
    this.user = user;
  }

  /** @throws Error for a refusal other than 429 */
  async ask(
    method: string,
    target: string,
    { body, accept = 'application/json' }: { readonly body?: unknown; readonly accept?: string } = {},
  ): Promise<TenantAnswer> {
    const sent = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const { user } = this;
    const answer = await this.transport.call(target, {
      method,
      headers: {
        accept,
        ...(user === undefined ? {} : { 'impersonate-user': user }),
        ...(sent === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': String(sent.length) }),
      },
      ...(sent === undefined ? {} : { body: sent }),
    });
    const { code } = answer;
    if (code >= 400 && code !== 429) {
      throw new Error(`${method} ${target}: ${(await answer.bytes()).toString('utf8')}`);
    }
    let bytes = 0;
    for await (const piece of answer.chunks) bytes += piece.length;
    return { code, bytes };
  }

  close(): void {
    this.transport.close();
  }
}
