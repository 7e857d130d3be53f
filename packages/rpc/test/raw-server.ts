/** A server of single frames: says anything to a channel of ours, and reads what the channel says. */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { fields, message } from './raw-client.ts';
import { PREFACE, TYPE, rawFrame, type RawFrame } from './raw-frames.ts';

const END_STREAM = 1;
const END_HEADERS = 4;
const ACK = 1;

/** One connection of the channel. */
export class RawPeer {
  readonly socket: Socket;
  readonly frames: RawFrame[] = [];
  closed = false;
  private held = Buffer.alloc(0);
  private greeted = false;
  private wake: () => void = () => {};

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
      this.wake();
    });
    socket.on('data', (bytes: Buffer) => this.read(bytes));
  }

  send(...frames: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  settings(...pairs: readonly (readonly [id: number, value: number])[]): void {
    const payload = Buffer.alloc(pairs.length * 6);
    pairs.forEach(([id, value], i) => {
      payload.writeUInt16BE(id, i * 6);
      payload.writeUInt32BE(value, i * 6 + 2);
    });
    this.send(rawFrame(TYPE.settings, 0, 0, payload));
  }

  /** A whole good answer. */
  answer(stream: number, text: string): void {
    this.open(stream);
    this.send(rawFrame(TYPE.data, 0, stream, message(text)));
    this.finish(stream);
  }

  open(stream: number): void {
    const block = fields([':status', '200'], ['content-type', 'application/grpc']);
    this.send(rawFrame(TYPE.headers, END_HEADERS, stream, block));
  }

  finish(stream: number, status = '0'): void {
    this.send(rawFrame(TYPE.headers, END_HEADERS | END_STREAM, stream, fields(['grpc-status', status])));
  }

  goaway(lastStream: number, code = 0): void {
    const payload = Buffer.alloc(8);
    payload.writeUInt32BE(lastStream, 0);
    payload.writeUInt32BE(code, 4);
    this.send(rawFrame(TYPE.goaway, 0, 0, payload));
  }

  reset(stream: number, code: number): void {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(code);
    this.send(rawFrame(TYPE.reset, 0, stream, payload));
  }

  /** The streams whose HEADERS came, in order. */
  get streams(): number[] {
    return this.frames.filter(({ type }) => type === TYPE.headers).map(({ stream }) => stream);
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

  /** Until so many streams were opened. */
  async opened(count: number): Promise<number[]> {
    await this.find(() => this.streams.length >= count);
    return this.streams;
  }

  /** The error code of the GOAWAY that ends the connection; -1 when it closes without. */
  async goneWith(): Promise<number> {
    const frame = await this.find(({ type }) => type === TYPE.goaway);
    return frame?.payload.readUInt32BE(4) ?? -1;
  }

  async gone(): Promise<void> {
    await this.find(() => this.closed);
  }

  private read(bytes: Buffer): void {
    this.held = Buffer.concat([this.held, bytes]);
    if (!this.greeted) {
      if (this.held.length < PREFACE.length) return;
      this.greeted = true;
      this.held = this.held.subarray(PREFACE.length);
    }
    while (this.held.length >= 9) {
      const size = this.held.readUIntBE(0, 3);
      if (this.held.length < 9 + size) break;
      const frame = {
        type: this.held[3] ?? 0,
        flags: this.held[4] ?? 0,
        stream: this.held.readUInt32BE(5),
        payload: this.held.subarray(9, 9 + size),
      };
      this.held = this.held.subarray(9 + size);
      if (frame.type === TYPE.settings && (frame.flags & ACK) === 0)
        this.send(rawFrame(TYPE.settings, ACK, 0));
      this.frames.push(frame);
    }
    this.wake();
  }
}

export class RawServer {
  readonly peers: RawPeer[] = [];
  private readonly listener: Server;
  private wake: () => void = () => {};

  private constructor() {
    this.listener = createServer((socket) => {
      this.peers.push(new RawPeer(socket));
      this.wake();
    });
  }

  static async listen(): Promise<RawServer> {
    const server = new RawServer();
    server.listener.listen(0, '127.0.0.1');
    await once(server.listener, 'listening');
    return server;
  }

  get port(): number {
    return (this.listener.address() as AddressInfo).port;
  }

  /** The channel's connection number `index`, from 0, once it is there. */
  async peer(index: number): Promise<RawPeer> {
    while (this.peers.length <= index) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    return this.peers[index];
  }

  close(): void {
    this.listener.close();
    for (const { socket } of this.peers) socket.destroy();
  }
}
