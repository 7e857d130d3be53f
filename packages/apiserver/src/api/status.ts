/**
 * Errors of the API: one class, which carries a metav1.Status, and one constructor per reason with the texts
 * of apimachinery's api/errors. Whoever refuses something throws an ApiError; http/respond writes it.
 *
 * Reasons, codes and messages are the contract: kubectl and client-go branch on reason and code, people and
 * tests match on messages.
 */

import { goQuote } from '@keelson/base';

import type { JsonObject } from './json.ts';
import { describeResource, type GroupResource } from './meta.ts';

export type StatusReason =
  | ''
  | 'AlreadyExists'
  | 'BadRequest'
  | 'Conflict'
  | 'Expired'
  | 'Forbidden'
  | 'Gone'
  | 'InternalError'
  | 'Invalid'
  | 'MethodNotAllowed'
  | 'NotAcceptable'
  | 'NotFound'
  | 'RequestEntityTooLarge'
  | 'ServerTimeout'
  | 'ServiceUnavailable'
  | 'StorageReadError'
  | 'Timeout'
  | 'TooManyRequests'
  | 'Unauthorized'
  | 'UnsupportedMediaType';

/** One of several things that were wrong. In JSON its type is called `reason`. */
export interface StatusCause {
  readonly reason?: string;
  readonly message?: string;
  /** Path of the field, `spec.replicas`; for conflicts of apply with a leading dot. */
  readonly field?: string;
}

export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  /** The resource's name, except for Invalid, where it is the kind. */
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterSeconds?: number;
}

/** What the body of a metav1.Status says, without its apiVersion and kind. */
export interface Status {
  readonly status: 'Success' | 'Failure';
  readonly message: string;
  readonly reason: StatusReason;
  readonly details?: StatusDetails;
  readonly code: number;
  /** Set where an expired list can go on from another revision. */
  readonly continue?: string;
}

/** A refusal that reaches the client as the Status it carries. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: Status;

  constructor(status: Omit<Status, 'status'>, options?: ErrorOptions) {
    super(status.message, options);
    this.status = { status: 'Failure', ...status };
  }

  get reason(): StatusReason {
    return this.status.reason;
  }

  get code(): number {
    return this.status.code;
  }
}

/** Whether an error is an ApiError with this reason. */
export function hasReason(error: unknown, reason: StatusReason): error is ApiError {
  return error instanceof ApiError && error.reason === reason;
}

/** The Status object as it is sent, members in Go's order, empty ones left out. */
export function statusObject(status: Status): JsonObject {
  const { details } = status;
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: status.continue === undefined ? {} : { continue: status.continue },
    status: status.status,
    ...(status.message === '' ? {} : { message: status.message }),
    ...(status.reason === '' ? {} : { reason: status.reason }),
    ...(details === undefined ? {} : { details: detailsObject(details) }),
    code: status.code,
  };
}

function detailsObject(details: StatusDetails): JsonObject {
  return {
    ...(details.name ? { name: details.name } : {}),
    ...(details.group ? { group: details.group } : {}),
    ...(details.kind ? { kind: details.kind } : {}),
    ...(details.uid ? { uid: details.uid } : {}),
    ...(details.causes && details.causes.length > 0
      ? {
          causes: details.causes.map((cause) => ({
            ...(cause.reason ? { reason: cause.reason } : {}),
            ...(cause.message ? { message: cause.message } : {}),
            ...(cause.field ? { field: cause.field } : {}),
          })),
        }
      : {}),
    ...(details.retryAfterSeconds ? { retryAfterSeconds: details.retryAfterSeconds } : {}),
  };
}

export function badRequest(message: string): ApiError {
  return new ApiError({ code: 400, reason: 'BadRequest', message });
}

export function unauthorized(message = 'Unauthorized'): ApiError {
  return new ApiError({ code: 401, reason: 'Unauthorized', message });
}

/** Admission and quota refuse with this; authorization has a text of its own (authz). */
export function forbidden(resource: GroupResource, name: string, cause: string): ApiError {
  const what =
    resource.resource === ''
      ? 'forbidden'
      : name === ''
        ? `${describeResource(resource)} is forbidden`
        : `${describeResource(resource)} ${goQuote(name)} is forbidden`;
  return new ApiError({
    code: 403,
    reason: 'Forbidden',
    message: `${what}: ${cause}`,
    details: { group: resource.group, kind: resource.resource, name },
  });
}

export function notFound(resource: GroupResource, name: string): ApiError {
  return new ApiError({
    code: 404,
    reason: 'NotFound',
    message: `${describeResource(resource)} ${goQuote(name)} not found`,
    details: { group: resource.group, kind: resource.resource, name },
  });
}

/** A path of the API that is not served, said as a Status. */
export function genericNotFound(): ApiError {
  return new ApiError({
    code: 404,
    reason: 'NotFound',
    message: 'the server could not find the requested resource',
    details: {},
  });
}

/** A path of the API that is served, but not by this method. */
export function genericMethodNotAllowed(): ApiError {
  return new ApiError({
    code: 405,
    reason: 'MethodNotAllowed',
    message: 'the server does not allow this method on the requested resource',
    details: {},
  });
}

/** None of the types that the path's routes produce. */
export function genericNotAcceptable(mediaTypes: readonly string[]): ApiError {
  return new ApiError({
    code: 406,
    reason: 'NotAcceptable',
    message: `406: Not Acceptable\n\nAvailable representations: ${mediaTypes.join(', ')}`,
    details: {},
  });
}

/** A body that no route of the path takes. */
export function genericUnsupportedMediaType(): ApiError {
  return new ApiError({
    code: 415,
    reason: 'UnsupportedMediaType',
    message: '415: Unsupported Media Type',
    details: {},
  });
}

/** A resource that is asked for what it cannot do. */
export function methodNotSupported(resource: GroupResource, verb: string): ApiError {
  return new ApiError({
    code: 405,
    reason: 'MethodNotAllowed',
    message: `${verb} is not supported on resources of kind ${goQuote(describeResource(resource))}`,
    details: { group: resource.group, kind: resource.resource },
  });
}

export function notAcceptable(mediaTypes: readonly string[]): ApiError {
  return new ApiError({
    code: 406,
    reason: 'NotAcceptable',
    message: `only the following media types are accepted: ${mediaTypes.join(', ')}`,
  });
}

export function unsupportedMediaType(mediaTypes: readonly string[]): ApiError {
  return new ApiError({
    code: 415,
    reason: 'UnsupportedMediaType',
    message: `the body of the request was in an unknown format - accepted media types include: ${mediaTypes.join(', ')}`,
  });
}

export function alreadyExists(resource: GroupResource, name: string): ApiError {
  return new ApiError({
    code: 409,
    reason: 'AlreadyExists',
    message: `${describeResource(resource)} ${goQuote(name)} already exists`,
    details: { group: resource.group, kind: resource.resource, name },
  });
}

/** The last try of generateName met an object as well: the client may try again at once. */
export function generateNameConflict(resource: GroupResource, name: string): ApiError {
  return new ApiError({
    code: 409,
    reason: 'AlreadyExists',
    message: `${describeResource(resource)} ${goQuote(name)} already exists, the server was not able to generate a unique name for the object`,
    details: { group: resource.group, kind: resource.resource, name, retryAfterSeconds: 1 },
  });
}

export function conflict(resource: GroupResource, name: string, cause: string): ApiError {
  return new ApiError({
    code: 409,
    reason: 'Conflict',
    message: `Operation cannot be fulfilled on ${describeResource(resource)} ${goQuote(name)}: ${cause}`,
    details: { group: resource.group, kind: resource.resource, name },
  });
}

/** What a write with a stale resourceVersion is answered; kubectl and many tests match on this text. */
export const MODIFIED =
  'the object has been modified; please apply your changes to the latest version and try again';

/** Fields that are owned by other managers stop a server-side apply. */
export function applyConflict(causes: readonly StatusCause[], message: string): ApiError {
  return new ApiError({ code: 409, reason: 'Conflict', message, details: { causes } });
}

export function resourceExpired(message: string, next?: string): ApiError {
  return new ApiError({
    code: 410,
    reason: 'Expired',
    message,
    ...(next === undefined ? {} : { continue: next }),
  });
}

export function requestEntityTooLarge(message: string): ApiError {
  return new ApiError({
    code: 413,
    reason: 'RequestEntityTooLarge',
    message: `Request entity too large: ${message}`,
  });
}

/** One thing wrong with an object; see fieldErrors for the texts. */
export interface FieldError {
  readonly type: FieldErrorType;
  /** Path of the field, `spec.containers[0].image`. */
  readonly field: string;
  /** What follows the path, `Invalid value: "x": must be …`. */
  readonly body: string;
}

export type FieldErrorType =
  | 'FieldValueDuplicate'
  | 'FieldValueForbidden'
  | 'FieldValueInvalid'
  | 'FieldValueNotFound'
  | 'FieldValueNotSupported'
  | 'FieldValueRequired'
  | 'FieldValueTooLong'
  | 'FieldValueTooMany'
  | 'FieldValueTypeInvalid'
  | 'InternalError';

/**
 * An object that breaks rules of its kind: all of them at once, each a cause.
 *
 * @param kind group and kind of the object, as the message and the details name it
 */
export function invalid(
  kind: { readonly group: string; readonly kind: string },
  name: string,
  errors: readonly FieldError[],
): ApiError {
  const lines = distinct(errors.map((error) => `${error.field}: ${error.body}`));
  const text = lines.length === 0 ? '' : lines.length === 1 ? lines[0] : `[${lines.join(', ')}]`;
  const what = kind.group === '' ? kind.kind : `${kind.kind}.${kind.group}`;
  return new ApiError({
    code: 422,
    reason: 'Invalid',
    message: `${what} ${goQuote(name)} is invalid${text === '' ? '' : `: ${text}`}`,
    details: {
      group: kind.group,
      kind: kind.kind,
      name,
      causes: errors.map((error) => ({ reason: error.type, message: error.body, field: error.field })),
    },
  });
}

export function tooManyRequests(message: string, retryAfterSeconds: number): ApiError {
  return new ApiError({
    code: 429,
    reason: 'TooManyRequests',
    message,
    details: { retryAfterSeconds },
  });
}

export function internalError(cause: unknown): ApiError {
  const text = cause instanceof Error ? cause.message : String(cause);
  return new ApiError(
    {
      code: 500,
      reason: 'InternalError',
      message: `Internal error occurred: ${text}`,
      details: { causes: [{ message: text }] },
    },
    { cause },
  );
}

export function serverTimeout(
  resource: GroupResource,
  operation: string,
  retryAfterSeconds: number,
): ApiError {
  return new ApiError({
    code: 500,
    reason: 'ServerTimeout',
    message: `The ${operation} operation against ${describeResource(resource)} could not be completed at this time, please try again.`,
    details: { group: resource.group, kind: resource.resource, name: operation, retryAfterSeconds },
  });
}

export function serviceUnavailable(message: string): ApiError {
  return new ApiError({ code: 503, reason: 'ServiceUnavailable', message });
}

export function timeout(message: string, retryAfterSeconds: number): ApiError {
  return new ApiError({
    code: 504,
    reason: 'Timeout',
    message: `Timeout: ${message}`,
    details: { retryAfterSeconds },
  });
}

/** A resourceVersion that the server has not seen yet, after waiting for it. */
export function tooLargeResourceVersion(wanted: number, current: number, retryAfterSeconds = 1): ApiError {
  const message = `Too large resource version: ${wanted}, current: ${current}`;
  return new ApiError({
    code: 504,
    reason: 'Timeout',
    message: `Timeout: ${message}`,
    details: {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds,
    },
  });
}

function distinct(lines: readonly string[]): string[] {
  return [...new Set(lines)];
}
