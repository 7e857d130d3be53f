/**
 * The one error of the decoders: bytes that are not a message. It says which message and field, and
 * where. Encoding never throws it: a value that does not fit its field is a broken law of the caller
 * and a RangeError.
 */
export type ProtoErrorCode =
  /** A varint, length or field ends after its message does. */
  | 'TRUNCATED'
  /** A varint of more than ten bytes, or one that does not fit 64 bits. */
  | 'VARINT'
  /** A field number of 0 or above 2^29-1. */
  | 'FIELD_NUMBER'
  /** Wire types 6 and 7, which do not exist. */
  | 'WIRE_TYPE'
  /** A group that ends without a beginning, or under another number. */
  | 'GROUP'
  /** Messages or groups nested deeper than DecodeLimits.depthMax. */
  | 'DEPTH'
  /** More bytes than DecodeLimits.bytesMax. */
  | 'SIZE'
  /** A proto3 string that is not UTF-8. */
  | 'UTF8';

export class ProtoError extends Error {
  override readonly name = 'ProtoError';
  readonly code: ProtoErrorCode;
  /** Full name of the message, or of the message and field: `etcdserverpb.PutRequest.key`. */
  readonly where: string;
  /** Offset in the bytes given to the decoder. */
  readonly offset: number;

  constructor(code: ProtoErrorCode, where: string, offset: number, problem: string) {
    super(`${where}: ${problem} at offset ${offset}`);
    this.code = code;
    this.where = where;
    this.offset = offset;
  }
}
