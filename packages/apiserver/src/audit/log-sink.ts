/**
 * Audit events as lines of a file: JSON, or the legacy form of one line of words. The file is given.
 *
 * Modelled on apiserver's plugin/pkg/audit/log.
 */

import { isJsonObject, type JsonObject } from '../api/json.ts';
import { writeJson } from '../codec/json-writer.ts';
import type { EventSink } from './backend.ts';
import type { AuditEvent } from './event.ts';

/** Where lines go. */
export interface LineWriter {
  /** Whole lines with their ends. @throws Error when they are not written */
  write(text: string): void;
  close(): void;
}

export function logSink(lines: LineWriter, format: 'json' | 'legacy'): EventSink {
  const line = format === 'json' ? (event: AuditEvent) => writeJson(event.object) : legacyLine;
  return {
    write: (events) => lines.write(events.map((event) => `${line(event)}\n`).join('')),
    close: () => lines.close(),
  };
}

function legacyLine({ object, stage }: AuditEvent): string {
  const user = partOf(object, 'user');
  const as = partOf(object, 'impersonatedUser');
  const quoted = (value: string): string => JSON.stringify(value);
  const list = (value: unknown): string =>
    Array.isArray(value) ? value.map((each) => quoted(String(each))).join(',') : '';
  const ips = object['sourceIPs'];
  const code = partOf(object, 'responseStatus')['code'];
  const words: [string, string][] = [
    ['id', quoted(wordOf(object, 'auditID'))],
    ['stage', quoted(stage)],
    ['ip', quoted(Array.isArray(ips) ? String(ips[0]) : '<unknown>')],
    ['method', quoted(wordOf(object, 'verb'))],
    ['user', quoted(wordOf(user, 'username') || '<none>')],
    ['groups', list(user['groups']) || quoted('<none>')],
    ['as', quoted(wordOf(as, 'username') || '<self>')],
    ['asgroups', list(as['groups']) || quoted('<lookup>')],
    ['user-agent', quoted(wordOf(object, 'userAgent'))],
    ['namespace', quoted(wordOf(partOf(object, 'objectRef'), 'namespace') || '<none>')],
    ['uri', quoted(wordOf(object, 'requestURI'))],
    ['response', quoted(typeof code === 'number' ? String(code) : '<deferred>')],
  ];
  const received = wordOf(object, 'requestReceivedTimestamp');
  return `${received} AUDIT: ${words.map(([name, value]) => `${name}=${value}`).join(' ')}`;
}

function partOf(object: JsonObject, name: string): JsonObject {
  const value = object[name];
  return isJsonObject(value) ? value : {};
}

function wordOf(object: JsonObject, name: string): string {
  const value = object[name];
  return typeof value === 'string' ? value : '';
}
