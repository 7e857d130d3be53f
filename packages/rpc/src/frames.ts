/**
 * HTTP/2 frames as bytes (RFC 9113 §4, §6): names, numbers, the nine-byte header, and settings. Pure; it
 * looks at bytes in place and writes into buffers it is given. It knows no state of stream or connection.
 */

export const FRAME_HEADER_BYTES = 9;
/** What a client says first (§3.4). */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

export const FrameType = {
  Data: 0,
  Headers: 1,
  Priority: 2,
  RstStream: 3,
  Settings: 4,
  PushPromise: 5,
  Ping: 6,
  Goaway: 7,
  WindowUpdate: 8,
  Continuation: 9,
} as const;

export const Flag = { None: 0, Ack: 1, EndStream: 1, EndHeaders: 4, Padded: 8, Priority: 32 } as const;

/** §7. */
export const ErrorCode = {
  NoError: 0,
  ProtocolError: 1,
  InternalError: 2,
  FlowControlError: 3,
  SettingsTimeout: 4,
  StreamClosed: 5,
  FrameSizeError: 6,
  RefusedStream: 7,
  Cancel: 8,
  CompressionError: 9,
  ConnectError: 10,
  EnhanceYourCalm: 11,
  InadequateSecurity: 12,
  Http11Required: 13,
} as const;
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

/** §6.5.2. */
export const Setting = {
  HeaderTableSize: 1,
  EnablePush: 2,
  MaxConcurrentStreams: 3,
  InitialWindowSize: 4,
  MaxFrameSize: 5,
  MaxHeaderListSize: 6,
} as const;

export const WINDOW_MAX = 2 ** 31 - 1;
export const STREAM_ID_MAX = 2 ** 31 - 1;
export const DEFAULT_WINDOW = 65_535;
export const FRAME_SIZE_MIN = 16_384;
export const FRAME_SIZE_MAX = 2 ** 24 - 1;
export const DEFAULT_HEADER_TABLE_BYTES = 4096;

/** A violation that ends the whole connection with GOAWAY (§5.4.1). Thrown and caught within one read. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Writes a frame header. @returns the offset behind it */
export function writeFrameHeader(
  target: Buffer,
  offset: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): number {
  target[offset] = length >>> 16;
  target[offset + 1] = length >>> 8;
  target[offset + 2] = length;
  target[offset + 3] = type;
  target[offset + 4] = flags;
  return writeUint32(target, offset + 5, streamId);
}

/** Big-endian, without the checks of Buffer's own method. @returns the offset behind it */
export function writeUint32(target: Buffer, offset: number, value: number): number {
  target[offset] = value >>> 24;
  target[offset + 1] = value >>> 16;
  target[offset + 2] = value >>> 8;
  target[offset + 3] = value;
  return offset + 4;
}

export function readUint32(bytes: Buffer, offset: number): number {
  return (
    ((bytes[offset] << 24) | (bytes[offset + 1] << 16) | (bytes[offset + 2] << 8) | bytes[offset + 3]) >>> 0
  );
}

/** 31 bits: the reserved bit is ignored, as it must be. */
export function readUint31(bytes: Buffer, offset: number): number {
  return readUint32(bytes, offset) & 0x7fff_ffff;
}

/** A SETTINGS frame's payload from (identifier, value) pairs. */
export function settingsPayload(pairs: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.allocUnsafe(pairs.length * 6);
  let at = 0;
  for (const [id, value] of pairs) {
    payload[at] = id >>> 8;
    payload[at + 1] = id;
    at = writeUint32(payload, at + 2, value);
  }
  return payload;
}

/** One whole frame in its own buffer: for tests and for what is written once a connection. */
export function frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array = new Uint8Array(),
): Buffer {
  const bytes = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length);
  bytes.set(payload, writeFrameHeader(bytes, 0, payload.length, type, flags, streamId));
  return bytes;
}
