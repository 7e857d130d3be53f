/**
 * The method table of a member: descriptors from proto with our own request codecs where a command's
 * bytes go on to the log as they came (decision 5), and the handlers behind them.
 */
import type { MethodDescriptor } from '@keelson/rpc';

/** A decoded request together with the bytes it came as. */
export interface Received<T> {
  readonly message: T;
  /** The client's own encoding; a view that stays unchanged. */
  readonly bytes: Buffer;
}

/** The same method, whose handler also sees the request's bytes. */
export function withBytes<Req, Res>(
  method: MethodDescriptor<Req, Res>,
): MethodDescriptor<Received<Req>, Res> {
  return {
    path: method.path,
    kind: method.kind,
    request: {
      decode: (bytes) => ({ message: method.request.decode(bytes), bytes }),
      encode: (received) => received.bytes,
    },
    response: method.response,
  };
}

/** The message of a request, whether or not its handler also sees its bytes. */
export function messageOf(request: unknown): unknown {
  return typeof request === 'object' && request !== null && 'message' in request ? request.message : request;
}
