/**
 * An audit event: what is known of a request at a stage, and how audit.k8s.io/v1 writes it, members in Go's order. Pure;
 * the event of a request is changed by its filter alone and written anew at each stage.
 */

import type { Json, JsonObject } from '../api/json.ts';
import { isJsonObject } from '../api/json.ts';
import type { RequestInfo } from '../api/request-info.ts';
import type { UserInfo } from '../api/user-info.ts';
import { formatMicroTime } from '../codec/times.ts';
import type { Level, Stage } from './policy.ts';

export const AUDIT_API_VERSION = 'audit.k8s.io/v1';
/** Said of an event that lost its objects because it was too long. */
export const TRUNCATED = 'audit.k8s.io/truncated';

/** Everything about a request that events of it say. */
export interface AuditedRequest {
  readonly level: Level;
  readonly auditId: string;
  readonly uri: string;
  readonly info: RequestInfo;
  readonly sourceIPs: readonly string[];
  readonly userAgent: string;
  readonly receivedMs: number;
  readonly annotations: ReadonlyMap<string, string>;
  user: UserInfo | undefined;
  impersonated: UserInfo | undefined;
  impersonationConstraint?: string;
  requestObject: Json | undefined;
  responseObject: Json | undefined;
  responseStatus: JsonObject | undefined;
}

/** One written event. */
export interface AuditEvent {
  readonly stage: Stage;
  readonly object: JsonObject;
}

/** @param nowMs wall time of the stage */
export function eventOf(request: AuditedRequest, stage: Stage, nowMs: number): AuditEvent {
  const { info, level } = request;
  const written = level === 'Request' || level === 'RequestResponse';
  const object: JsonObject = {
    kind: 'Event',
    apiVersion: AUDIT_API_VERSION,
    level,
    auditID: request.auditId,
    stage,
    requestURI: request.uri,
    verb: info.verb,
    user: userObject(request.user),
    ...(request.impersonated === undefined ? {} : { impersonatedUser: userObject(request.impersonated) }),
    ...(request.impersonationConstraint === undefined
      ? {}
      : { authenticationMetadata: { impersonationConstraint: request.impersonationConstraint } }),
    ...(request.sourceIPs.length === 0 ? {} : { sourceIPs: request.sourceIPs }),
    ...(request.userAgent === '' ? {} : { userAgent: request.userAgent }),
    ...(info.isResource ? { objectRef: objectReference(request) } : {}),
    ...(request.responseStatus === undefined ? {} : { responseStatus: request.responseStatus }),
    ...(request.requestObject === undefined || !written ? {} : { requestObject: request.requestObject }),
    ...(request.responseObject === undefined || level !== 'RequestResponse'
      ? {}
      : { responseObject: request.responseObject }),
    requestReceivedTimestamp: microTime(request.receivedMs),
    stageTimestamp: microTime(nowMs),
    ...(request.annotations.size === 0 ? {} : { annotations: sorted(request.annotations) }),
  };
  return { stage, object };
}

/** The same event without objects, and a word that they are gone. */
export function truncated({ stage, object }: AuditEvent): AuditEvent {
  const { requestObject: _sent, responseObject: _answered, annotations, ...rest } = object;
  const said = isJsonObject(annotations) ? Object.entries(annotations) : [];
  const words = new Map([
    ...said.map(([key, value]) => [key, typeof value === 'string' ? value : ''] as const),
    [TRUNCATED, 'true'],
  ]);
  return { stage, object: { ...rest, annotations: sorted(words) } };
}

function userObject(user: UserInfo | undefined): JsonObject {
  if (user === undefined) return {};
  const extra = Object.entries(user.extra).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return {
    ...(user.name === '' ? {} : { username: user.name }),
    ...(user.uid === '' ? {} : { uid: user.uid }),
    ...(user.groups.length === 0 ? {} : { groups: user.groups }),
    ...(extra.length === 0 ? {} : { extra: Object.fromEntries(extra) }),
  };
}

/** What the path names, and what the object that was sent says beside it. */
function objectReference({ info, requestObject }: AuditedRequest): JsonObject {
  const sent = isJsonObject(requestObject) ? requestObject['metadata'] : undefined;
  const metadata = isJsonObject(sent) ? sent : {};
  const said = (member: string): string => {
    const value = metadata[member];
    return typeof value === 'string' ? value : '';
  };
  const reference: [string, string][] = [
    ['resource', info.resource],
    ['namespace', info.namespace || said('namespace')],
    ['name', info.name || said('name')],
    ['uid', said('uid')],
    ['apiGroup', info.group],
    ['apiVersion', info.version],
    ['resourceVersion', said('resourceVersion')],
    ['subresource', info.subresource],
  ];
  return Object.fromEntries(reference.filter(([, value]) => value !== ''));
}

function microTime(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  return formatMicroTime({ seconds, nanos: Math.floor((ms - seconds * 1_000) * 1_000_000) });
}

function sorted(words: ReadonlyMap<string, string>): JsonObject {
  return Object.fromEntries([...words].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** An object without managedFields, its items' and rows' included. */
export function withoutManagedFields(value: Json): Json {
  if (!isJsonObject(value)) return value;
  const { metadata, items, rows } = value;
  let object: JsonObject = value;
  if (isJsonObject(metadata) && 'managedFields' in metadata) {
    const { managedFields: _managed, ...rest } = metadata;
    object = { ...object, metadata: rest };
  }
  if (Array.isArray(items)) object = { ...object, items: items.map(withoutManagedFields) };
  if (Array.isArray(rows)) {
    object = {
      ...object,
      rows: rows.map((row: Json) =>
        isJsonObject(row) && row['object'] !== undefined
          ? { ...row, object: withoutManagedFields(row['object']) }
          : row,
      ),
    };
  }
  return object;
}
