/**
 * The service of the contract suite: one method of each kind, with bytes as messages. A message that is
 * "garbage" does not decode and one that is "unencodable" does not encode.
 */
import { EventEmitter, once } from 'node:events';
import {
  MethodTable,
  RpcError,
  StatusCode,
  Metadata,
  type CallContext,
  type Codec,
  type MethodDescriptor,
} from '@keelson/rpc';

export const text: Codec<string> = {
  decode(bytes) {
    const message = bytes.toString('latin1');
    if (message === 'garbage') throw new Error('proto: illegal wireType 7');
    return message;
  },
  encode(message) {
    if (message === 'unencodable') throw new Error('string field contains invalid UTF-8');
    return Buffer.from(message, 'latin1');
  },
};

const method = (
  name: string,
  kind: MethodDescriptor<string, string>['kind'],
): MethodDescriptor<string, string> => ({
  path: `/test.Echo/${name}`,
  kind,
  request: text,
  response: text,
});

export const Echo = {
  unary: method('Unary', 'unary'),
  counted: method('Counted', 'server-stream'),
  chat: method('Chat', 'bidi'),
  missing: method('Missing', 'unary'),
  otherService: { ...method('X', 'unary'), path: '/test.Other/X' },
};

/** What the server side saw, for assertions; events: 'called', 'cancelled', 'written'. */
export class ServerSide extends EventEmitter {
  cancelled: (StatusCode | undefined)[] = [];
  deadlines: (number | undefined)[] = [];
  written = 0;
  writtenAtFirstPause = 0;
  chatSeen: string[] = [];
  attachment: unknown = undefined;
  /** Makes the bidirectional method stop reading after its first message. */
  deaf = false;

  watch(call: CallContext): void {
    this.deadlines.push(call.deadlineMs);
    call.onCancel(() => {
      this.cancelled.push(call.cancelCode);
      this.emit('cancelled');
    });
    this.emit('called');
  }

  next(event: 'called' | 'cancelled' | 'written'): Promise<unknown> {
    return once(this, event);
  }
}

/** An error of the domain, which knows no gRPC; the table does. */
export class Missing extends Error {
  override readonly name = 'Missing';
}

class EchoMethods extends MethodTable {
  override failureOf(reason: unknown): unknown {
    return reason instanceof Missing
      ? new RpcError(StatusCode.NotFound, `${reason.message} is missing`)
      : reason;
  }
}

/**
 * Unary: "echo X" → "X"; "fail" → FailedPrecondition with a trailer; "throw" → a plain Error; "miss X" → a
 * Missing; "hang" never
 * answers; "headers" echoes metadata; "size N" → N bytes; "late" waits for `release`.
 */
export function echoTable(seen: ServerSide): MethodTable {
  return new EchoMethods()
    .unary(Echo.unary, async (request, call) => {
      seen.watch(call);
      seen.attachment = call.attachment;
      const [verb, rest = ''] = request.split(/ (.*)/s);
      switch (verb) {
        case 'echo':
          return rest;
        case 'fail':
          throw new RpcError(
            StatusCode.FailedPrecondition,
            'étcd: 100% not ready\n',
            Metadata.of({ why: 'test' }),
          );
        case 'throw':
          throw new Error('a bug of the handler');
        case 'miss':
          throw new Missing(rest);
        case 'headers':
          call.setHeader('x-header', 'h');
          call.setTrailer('x-trailer', 't');
          call.setTrailer('x-bin', Buffer.from([0, 255]));
          return `${String(call.metadata.first('token'))}|${call.metadata.all('many').join(',')}|${call.peer !== ''}`;
        case 'size':
          return 'x'.repeat(Number(rest));
        case 'late':
          await once(seen, 'release');
          return 'late';
        case 'unencodable':
          return 'unencodable';
        default:
          return new Promise<string>(() => {});
      }
    })
    .serverStream(Echo.counted, async (request, stream) => {
      seen.watch(stream.call);
      const [count = 0, size = 0] = request.split(' ').map(Number);
      for (let i = 0; i < count && !stream.closed; i++) {
        seen.written++;
        if (!stream.write(`${i}`.padEnd(size, '.'))) {
          seen.writtenAtFirstPause ||= seen.written;
          seen.emit('written');
          await stream.ready();
        }
      }
      if (request.endsWith('miss')) throw new Missing('that');
      if (request.endsWith('fail')) throw new RpcError(StatusCode.OutOfRange, 'enough');
    })
    .bidi(Echo.chat, (stream) => {
      seen.watch(stream.call);
      stream.onMessage((message) => {
        seen.chatSeen.push(message);
        if (seen.deaf) return stream.pause();
        if (message === 'bye') return stream.fail(new RpcError(StatusCode.Aborted, 'bye'));
        if (message === 'miss') throw new Missing('this');
        if (message === 'explode') throw new Error('a bug of a listener');
        if (!stream.write(message)) {
          stream.pause();
          stream.onDrain(() => stream.resume());
        }
      });
      stream.onHalfClose(() => {
        stream.write('end');
        stream.end();
      });
    });
}
