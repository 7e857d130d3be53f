/**
 * The body of a watch as events: JSON documents, one a line, cut anywhere by the network. A line that grows beyond its
 * limit ends the watch.
 */

import { KubeError } from './kube-error.ts';
import { isKubeObject, isRecord, type WatchEvent, type WatchEventType } from './objects.ts';

/** Larger than any object a server takes (3 MiB), however its text is escaped. */
const FRAME_BYTES_MAX = 16 * 1024 * 1024;
const NEWLINE = 10;
const TYPES: ReadonlySet<string> = new Set(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']);

export class WatchFrames {
  private parts: Buffer[] = [];
  private size = 0;

  /**
   * Takes the next bytes.
   *
   * @returns the events that are whole now, in order
   * @throws KubeError PROTOCOL for what is no event
   */
  push(chunk: Buffer): WatchEvent[] {
    const events: WatchEvent[] = [];
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      const line = this.take(chunk.subarray(from, end));
      from = end + 1;
      if (line !== '') events.push(readEvent(line));
    }
    const rest = chunk.subarray(from);
    if (rest.length > 0) {
      this.size += rest.length;
      if (this.size > FRAME_BYTES_MAX) throw new KubeError('PROTOCOL', 'an event of a watch is too large');
      this.parts.push(rest);
    }
    return events;
  }

  private take(last: Buffer): string {
    const line = this.parts.length === 0 ? last : Buffer.concat([...this.parts, last]);
    this.parts = [];
    this.size = 0;
    return line.toString('utf8').trim();
  }
}

function readEvent(line: string): WatchEvent {
  const value = parseJson(line);
  if (!isRecord(value) || !isType(value['type'])) throw new KubeError('PROTOCOL', 'a watch sent no event');
  const { type, object } = value;
  if (isKubeObject(object)) return { type, object };
  // A Status may come without metadata.
  if (type === 'ERROR' && isRecord(object)) return { type, object: { ...object, metadata: {} } };
  throw new KubeError('PROTOCOL', 'an event of a watch has no object');
}

function isType(value: unknown): value is WatchEventType {
  return typeof value === 'string' && TYPES.has(value);
}

/** @throws KubeError PROTOCOL */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new KubeError('PROTOCOL', 'the server sent what is no JSON', { cause: error });
  }
}
