/**
 * Events of a watch as bytes: lines of JSON, or protobuf frames with their length before them. A frame is made once
 * for all watchers of the same form, as long as the event's object is the same one.
 */

import type { KubeObject } from '../api/meta.ts';
import type { ObjectCodec } from '../codec/object-codec.ts';
import { BYTES, ProtobufWriter } from '../codec/protobuf-wire.ts';
import type { WireEvent } from '../handlers/wire.ts';

const LINE_END = Buffer.from('}\n');
const PREFIXES: ReadonlyMap<WireEvent['type'], Buffer> = new Map(
  (['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR'] as const).map((type) => [
    type,
    Buffer.from(`{"type":"${type}","object":`),
  ]),
);

/** What was made of one object. */
interface Made {
  type: WireEvent['type'];
  line: Buffer | undefined;
  frame: Buffer | undefined;
}

/** Makes frames and keeps them as long as their objects live. One for a whole server. */
export class WatchFrames {
  private readonly codec: ObjectCodec;
  private readonly made = new WeakMap<KubeObject, Made>();

  constructor(codec: ObjectCodec) {
    this.codec = codec;
  }

  /** `{"type":"ADDED","object":{…}}` and a line end. */
  line(event: WireEvent): Buffer {
    // Its bytes need no more than copying, its object would have to be read of them first.
    if (event.initial === true && event.json !== undefined) return this.makeLine(event);
    const made = this.of(event);
    made.line ??= this.makeLine(event);
    return made.line;
  }

  /** Four bytes of length, then WatchEvent {1 type, 2 object {1 raw}} whose raw is an envelope. */
  frame(event: WireEvent): Buffer {
    const made = this.of(event);
    made.frame ??= this.makeFrame(event);
    return made.frame;
  }

  private of({ type, object }: WireEvent): Made {
    let made = this.made.get(object);
    // The same object may be ADDED for one watcher and MODIFIED for another; the last type is kept.
    if (made === undefined || made.type !== type) {
      made = { type, line: undefined, frame: undefined };
      this.made.set(object, made);
    }
    return made;
  }

  private makeLine(event: WireEvent): Buffer {
    const { type } = event;
    const body = event.json ?? this.codec.json(event.object);
    const length = body.at(-1) === 0x0a ? body.length - 1 : body.length;
    const prefix = PREFIXES.get(type) ?? Buffer.from(`{"type":${JSON.stringify(type)},"object":`);
    const line = Buffer.allocUnsafe(prefix.length + length + LINE_END.length);
    prefix.copy(line);
    body.copy(line, prefix.length, 0, length);
    LINE_END.copy(line, prefix.length + length);
    return line;
  }

  private makeFrame({ type, object }: WireEvent): Buffer {
    const raw = this.codec.envelope(object) ?? this.codec.json(object);
    const writer = new ProtobufWriter(raw.length + 32);
    writer.bytes(raw);
    writer.tag(1, BYTES);
    writer.varint(writer.size);
    writer.tag(2, BYTES);
    writer.string(type);
    writer.tag(1, BYTES);
    const event = writer.finish();
    const frame = Buffer.allocUnsafe(4 + event.length);
    frame.writeUInt32BE(event.length, 0);
    event.copy(frame, 4);
    return frame;
  }
}
