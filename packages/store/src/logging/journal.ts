/**
 * --log-outputs=systemd/journal. etcd sends datagrams in the journal's native protocol; the runtime has no datagram
 * sockets of that kind, so lines go over the stream that systemd gives services as their stdout
 * (/run/systemd/journal/stdout): a header of seven lines (identifier, unit, default priority, whether lines begin with
 * their priority, three places to forward to), then the log's lines, each behind its priority as "<6>". The journal
 * then has MESSAGE, PRIORITY and SYSLOG_IDENTIFIER as from etcd; etcd's field PACKAGE it has not.
 *
 * As etcd: a journal that is not there at start is an error, one that goes later makes lines go to the fallback.
 */
import { connect, type Socket } from 'node:net';
import { basename } from 'node:path';

export const JOURNAL_SOCKET = '/run/systemd/journal/stdout';

/** sd-daemon(3)'s, as etcd maps zap's levels to them. */
const PRIORITIES: Readonly<Record<string, number>> = {
  debug: 7,
  info: 6,
  warn: 4,
  error: 3,
  dpanic: 2,
  panic: 2,
  fatal: 2,
};
const INFO = 6;

/** Waiting for a journal that does not read, before lines take the other way. */
const WAITING_BYTES_MAX = 1024 * 1024;
/** Between two attempts to reach a journal that went. */
const RETRY_MS = 1_000;

export class Journal {
  private readonly path: string;
  private readonly header: string;
  private readonly fallback: (line: string) => void;
  private readonly monotonicMs: () => number;
  private socket: Socket | undefined;
  private dialledMs: number;

  private constructor(
    socket: Socket,
    path: string,
    header: string,
    fallback: (line: string) => void,
    monotonicMs: () => number,
  ) {
    this.path = path;
    this.header = header;
    this.fallback = fallback;
    this.monotonicMs = monotonicMs;
    this.dialledMs = monotonicMs();
    this.adopt(socket);
  }

  /**
   * @param program what was started, for SYSLOG_IDENTIFIER: its name without folders
   * @param fallback takes lines that the journal does not
   * @throws node's error when nobody listens there
   */
  static async open(
    path: string,
    program: string,
    fallback: (line: string) => void,
    monotonicMs: () => number,
  ): Promise<Journal> {
    const header = `${basename(program).replaceAll('\n', '')}\n\n${INFO}\n1\n0\n0\n0\n`;
    const socket = await new Promise<Socket>((resolve, reject) => {
      const dialling = connect(path, () => {
        dialling.off('error', reject);
        resolve(dialling);
      });
      dialling.once('error', reject);
    });
    return new Journal(socket, path, header, fallback, monotonicMs);
  }

  /** @param text one or more lines, each ended; @param level as the log names it */
  write(text: string, level: string): void {
    const { socket } = this;
    if (socket === undefined || socket.writableLength > WAITING_BYTES_MAX) {
      this.fallback(text);
      if (socket === undefined) this.dialAgain();
      return;
    }
    const prefix = `<${PRIORITIES[level] ?? INFO}>`;
    // Written in the call while the journal reads: the last lines before an end get there.
    socket.write(text.replaceAll(/^(?=.)/gm, prefix));
  }

  close(): void {
    this.socket?.destroy();
    this.socket = undefined;
    this.dialledMs = Infinity;
  }

  private adopt(socket: Socket): void {
    this.socket = socket;
    const gone = (): void => {
      if (this.socket === socket) this.socket = undefined;
    };
    socket.on('error', gone);
    socket.on('close', gone);
    // Nothing is read; without it the end of the other side would go unheard.
    socket.resume();
    socket.unref();
    socket.write(this.header);
  }

  private dialAgain(): void {
    const nowMs = this.monotonicMs();
    if (nowMs - this.dialledMs < RETRY_MS || this.dialledMs === Infinity) return;
    this.dialledMs = nowMs;
    const socket = connect(this.path, () => this.adopt(socket));
    socket.on('error', () => socket.destroy());
    socket.unref();
  }
}
