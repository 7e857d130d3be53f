/**
 * `watch --json`: one JSON object a line for each event, made for jq and scripts: keys and values as text where
 * they are text, else in base64 under another name; revisions as numbers, leases in hex.
 */
import type { WatchBatch } from '@keelson/client';
import { mvccpb } from '@keelson/proto';
import { idHex } from '../../go-text.ts';

/** The lines of a batch, each with its newline. */
export function eventLines(batch: WatchBatch): string {
  const lines = batch.progress
    ? [{ type: 'PROGRESS', revision: batch.revision }]
    : batch.events.map(eventObject);
  return lines.map((line) => `${JSON.stringify(line)}\n`).join('');
}

/** The last line of a watch that the server ended. */
export function endLine(reason: string, compactRevision: number): string {
  return `${JSON.stringify({ type: 'CANCELED', reason, ...(compactRevision > 0 ? { compactRevision } : {}) })}\n`;
}

function eventObject(event: mvccpb.Event): Readonly<Record<string, unknown>> {
  const kv = event.kv ?? new mvccpb.KeyValue();
  const deleted = event.type === mvccpb.EventType.DELETE;
  const { prevKv } = event;
  return {
    type: deleted ? 'DELETE' : 'PUT',
    revision: kv.modRevision,
    ...bytes('key', kv.key),
    ...(deleted ? {} : pairFields(kv)),
    ...(prevKv === undefined ? {} : { prev: { revision: prevKv.modRevision, ...pairFields(prevKv) } }),
  };
}

function pairFields(kv: mvccpb.KeyValue): Readonly<Record<string, unknown>> {
  return {
    ...bytes('value', kv.value),
    createRevision: kv.createRevision,
    version: kv.version,
    ...(kv.lease === 0n ? {} : { lease: idHex(kv.lease, 16) }),
  };
}

/** "key" for text, "keyBase64" for what is none. */
function bytes(name: string, value: Buffer): Readonly<Record<string, string>> {
  const text = value.toString('utf8');
  return Buffer.from(text, 'utf8').equals(value)
    ? { [name]: text }
    : { [`${name}Base64`]: value.toString('base64') };
}
