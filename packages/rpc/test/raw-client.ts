/** A client of single frames on a raw socket: says anything, and reads what the server makes of it. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { PREFACE, TYPE, rawFrame, type RawFrame } from './raw-frames.ts';

/** Literal fields without indexing. */
export function fields(...pairs: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(pairs.flatMap(([name, value]) => [Buffer.from([0]), raw(name), raw(value)]));
}

function raw(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const size = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest >>>= 7) size.push((rest & 127) | 128);
  return Buffer.concat([Buffer.from([...size, rest]), bytes]);
}

export const REQUEST: readonly (readonly [string, string])[] = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/test.Echo/Unary'],
  [':authority', 'x'],
  ['content-type', 'application/grpc'],
  ['te', 'trailers'],
];

/** The request's fields with some replaced (undefined removes) and others appended. */
export function requestFields(
  change: Readonly<Record<string, string | undefined>> = {},
  ...more: readonly (readonly [string, string])[]
): Buffer {
  const kept = REQUEST.flatMap(([name, value]): [string, string][] => {
    const other = name in change ? change[name] : value;
    return other === undefined ? [] : [[name, other]];
  });
  return fields(...kept, ...more);
}

/** A gRPC message with its prefix. */
export function message(text: string): Buffer {
  const bytes = Buffer.alloc(5 + text.length);
  bytes.writeUInt32BE(text.length, 1);
  bytes.write(text, 5, 'latin1');
  return bytes;
}

export class RawClient {
  readonly socket: Socket;
  readonly frames: RawFrame[] = [];
  closed = false;
  private held = Buffer.alloc(0);
  private wake: () => void = () => {};

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
      this.wake();
    });
    socket.on('data', (bytes: Buffer) => {
      this.held = Buffer.concat([this.held, bytes]);
      while (this.held.length >= 9) {
        const size = this.held.readUIntBE(0, 3);
        if (this.held.length < 9 + size) break;
        this.frames.push({
          type: this.held[3] ?? 0,
          flags: this.held[4] ?? 0,
          stream: this.held.readUInt32BE(5),
          payload: this.held.subarray(9, 9 + size),
        });
        this.held = this.held.subarray(9 + size);
      }
      this.wake();
    });
  }

  /** Connects; with `handshake`, also says preface and settings. */
  static async open(port: number, handshake = true): Promise<RawClient> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const client = new RawClient(socket);
    await once(socket, 'connect');
    if (handshake) client.send(PREFACE, rawFrame(TYPE.settings, 0, 0), rawFrame(TYPE.settings, 1, 0));
    return client;
  }

  send(...frames: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** The first frame, also of the past, that `test` accepts; undefined when the connection closed without. */
  async find(test: (frame: RawFrame) => boolean): Promise<RawFrame | undefined> {
    for (;;) {
      const found = this.frames.find(test);
      if (found !== undefined || this.closed) return found;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  /** The error code of the GOAWAY that ends the connection; -1 when it closes without. */
  async goaway(): Promise<number> {
    const frame = await this.find(
      (frame) => frame.type === TYPE.goaway && frame.payload.readUInt32BE(4) !== 0,
    );
    return frame?.payload.readUInt32BE(4) ?? -1;
  }

  /** The code a stream was reset with; -1 when the connection closes before. */
  async reset(stream: number): Promise<number> {
    const frame = await this.find((frame) => frame.type === TYPE.reset && frame.stream === stream);
    return frame?.payload.readUInt32BE(0) ?? -1;
  }

  close(): void {
    this.socket.destroy();
  }
}
