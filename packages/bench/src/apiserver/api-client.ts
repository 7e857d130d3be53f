/**
 * A client of an API server that makes load: several connections, requests in JSON, answers whole or as they come. A refusal
 * is a CallFailed under its HTTP status; nothing is repeated.
 */
import type { DialTlsOptions } from '@keelson/rpc';
import { CallFailed } from '../load.ts';
import { H2Connection } from './h2-connection.ts';
import { encodeHeaders } from './header-block.ts';

export interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

/** How an answer came, ms since it was asked for. */
export interface Timed {
  readonly status: number;
  readonly bytes: number;
  readonly firstByteMs: number;
  readonly totalMs: number;
}

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly body?: Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

const JSON_TYPE = 'application/json';

export class ApiClient {
  private readonly connections: readonly H2Connection[];
  private readonly authority: string;

  private constructor(connections: readonly H2Connection[], authority: string) {
    this.connections = connections;
    this.authority = authority;
  }

  /** @throws ConnectionError, or the socket's error; nothing stays open then */
  static async open(address: string, tls: DialTlsOptions, count: number): Promise<ApiClient> {
    const opened = await Promise.allSettled(
      Array.from({ length: count }, () => H2Connection.open(address, tls)),
    );
    const connections = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const failed = opened.find((one) => one.status === 'rejected');
    if (failed === undefined) return new ApiClient(connections, address);
    for (const connection of connections) connection.close();
    throw failed.reason;
  }

  /** The connection of a client, by turns. */
  of(client: number): H2Connection {
    return this.connections[client % this.connections.length];
  }

  /** @throws CallFailed for a status from 400 on, or a stream that broke */
  async call(client: number, asked: Asked): Promise<Answer> {
    const answer = await this.ask(client, asked);
    if (answer.status >= 400) throw new CallFailed(`HTTP ${answer.status}`, answer.body.toString('utf8'));
    return answer;
  }

  /** Whatever the status is. @throws CallFailed for a stream that broke */
  ask(client: number, asked: Asked): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let status = 0;
      this.of(client).request(this.headersOf(asked), asked.body, {
        head: (code) => {
          status = code;
        },
        data: (chunk) => chunks.push(Buffer.from(chunk)),
        end: (error) => {
          if (error !== undefined) reject(new CallFailed('broken', error.message, { cause: error }));
          else resolve({ status, body: chunks.length === 1 ? chunks[0] : Buffer.concat(chunks) });
        },
      });
    });
  }

  /** As `call`, but the body is only counted: what a list costs is not to be paid here. */
  timed(client: number, asked: Asked): Promise<Timed> {
    return new Promise((resolve, reject) => {
      const startMs = performance.now();
      let status = 0;
      let bytes = 0;
      let firstByteMs = 0;
      this.of(client).request(this.headersOf(asked), asked.body, {
        head: (code) => {
          status = code;
        },
        data: (chunk) => {
          if (bytes === 0) firstByteMs = performance.now() - startMs;
          bytes += chunk.length;
        },
        end: (error) => {
          if (error !== undefined) reject(new CallFailed('broken', error.message, { cause: error }));
          else if (status >= 400) reject(new CallFailed(`HTTP ${status}`, asked.path));
          else resolve({ status, bytes, firstByteMs, totalMs: performance.now() - startMs });
        },
      });
    });
  }

  /**
   * A stream of lines.
   *
   * @param line without its end, valid until it returns
   * @param ended the server ended it, or it broke
   * @returns cancels it; resolves when the server has answered its head
   */
  watch(
    client: number,
    path: string,
    line: (bytes: Buffer) => void,
    ended: (error: Error) => void,
  ): Promise<() => void> {
    const connection = this.of(client);
    return new Promise((resolve, reject) => {
      let rest: Buffer | undefined;
      const stream = connection.request(this.headersOf({ method: 'GET', path }), undefined, {
        head: (status) => {
          if (status === 200) resolve(() => connection.cancel(stream));
          else reject(new CallFailed(`HTTP ${status}`, path));
        },
        data: (chunk) => {
          let at = 0;
          for (;;) {
            const end = chunk.indexOf(10, at);
            if (end < 0) break;
            const bytes = chunk.subarray(at, end);
            line(rest === undefined ? bytes : Buffer.concat([rest, bytes]));
            rest = undefined;
            at = end + 1;
          }
          if (at < chunk.length) {
            const tail = chunk.subarray(at);
            rest = rest === undefined ? Buffer.from(tail) : Buffer.concat([rest, tail]);
          }
        },
        end: (error) => {
          const reason = new CallFailed('watch ended', error?.message ?? path);
          reject(reason);
          ended(reason);
        },
      });
    });
  }

  close(): void {
    for (const connection of this.connections) connection.close();
  }

  private headersOf({ method, path, body, headers = {} }: Asked): Buffer {
    return encodeHeaders([
      [':method', method],
      [':scheme', 'https'],
      [':authority', this.authority],
      [':path', path],
      ['user-agent', 'keelson-bench'],
      ['accept', headers['accept'] ?? JSON_TYPE],
      ...(body === undefined
        ? []
        : [
            ['content-type', headers['content-type'] ?? JSON_TYPE] as const,
            ['content-length', String(body.length)] as const,
          ]),
      ...Object.entries(headers).filter(([name]) => name !== 'accept' && name !== 'content-type'),
    ]);
  }
}
