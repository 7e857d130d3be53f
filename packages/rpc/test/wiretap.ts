/** A proxy on loopback that keeps what went through it, and writes it down as a capture other tools can read. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';

/** One piece as it went by. */
export interface Piece {
  readonly from: 'client' | 'server';
  readonly bytes: Buffer;
}

/** What went through each connection made to `talk`'s port while it ran, in order. */
export async function overhear(
  serverPort: number,
  talk: (port: number) => Promise<void>,
): Promise<Piece[][]> {
  const heard: Piece[][] = [];
  const proxy = createServer((near) => {
    const far = connect(serverPort, '127.0.0.1');
    const pieces: Piece[] = [];
    heard.push(pieces);
    for (const [one, other, from] of [
      [near, far, 'client'],
      [far, near, 'server'],
    ] as const) {
      one.on('data', (bytes: Buffer) => {
        pieces.push({ from, bytes });
        other.write(bytes);
      });
      one.on('end', () => other.end());
      one.on('error', () => other.destroy());
    }
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  await talk((proxy.address() as AddressInfo).port);
  await new Promise((resolve) => proxy.close(resolve));
  return heard;
}

/** Everything one side said. */
export function saidBy(from: Piece['from'], pieces: readonly Piece[]): Buffer {
  return Buffer.concat(pieces.filter((piece) => piece.from === from).map(({ bytes }) => bytes));
}

const SERVER_PORT = 2379;
const CLIENT_PORT = 40_000;
/** An IPv4 packet holds no more; far below, so that the reader must put segments together. */
const SEGMENT_BYTES = 1400;

/** The conversation as a capture of raw IPv4 packets (pcap, link type 228); the server's port is 2379. */
export function capture(pieces: readonly Piece[]): Buffer {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(0xa1b2c3d4, 0);
  head.writeUInt16LE(2, 4);
  head.writeUInt16LE(4, 6);
  head.writeUInt32LE(0xffff, 16);
  head.writeUInt32LE(228, 20);
  const sequence = { client: 1, server: 1 };
  const packets: Buffer[] = [head];
  for (const { from, bytes } of pieces) {
    for (let at = 0; at < bytes.length; at += SEGMENT_BYTES) {
      const segment = bytes.subarray(at, at + SEGMENT_BYTES);
      const packet = Buffer.alloc(16 + 40);
      packet.writeUInt32LE(packets.length, 0);
      packet.writeUInt32LE(40 + segment.length, 8);
      packet.writeUInt32LE(40 + segment.length, 12);
      packet[16] = 0x45;
      packet.writeUInt16BE(40 + segment.length, 18);
      packet[24] = 64;
      packet[25] = 6;
      const fromServer = from === 'server';
      packet.set([127, 0, 0, fromServer ? 2 : 1, 127, 0, 0, fromServer ? 1 : 2], 28);
      packet.writeUInt16BE(fromServer ? SERVER_PORT : CLIENT_PORT, 36);
      packet.writeUInt16BE(fromServer ? CLIENT_PORT : SERVER_PORT, 38);
      packet.writeUInt32BE(sequence[from], 40);
      packet.writeUInt32BE(fromServer ? sequence.client : sequence.server, 44);
      // Five words of header, ACK and PSH.
      packet[48] = 0x50;
      packet[49] = 0x18;
      packet.writeUInt16BE(0xffff, 50);
      sequence[from] += segment.length;
      packets.push(packet, segment);
    }
  }
  return Buffer.concat(packets);
}
