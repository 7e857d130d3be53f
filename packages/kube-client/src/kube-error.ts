/**
 * What can go wrong with a request, as one class: the server refused (a Status), the way to it broke, the answer made
 * no sense, or the caller gave up. Anything else that is thrown is a bug of ours.
 */

import { isRecord } from './objects.ts';

export type KubeErrorCode =
  /** The server answered with a Status or an error code. */
  | 'STATUS'
  /** No answer: refused, reset, cut short. Whether a write was done is not known. */
  | 'TRANSPORT'
  /** An answer that is no API's. */
  | 'PROTOCOL'
  /** The deadline of the request passed. */
  | 'TIMEOUT'
  /** The caller's signal fired. */
  | 'CANCELLED';

export interface StatusCause {
  readonly reason?: string;
  readonly message?: string;
  readonly field?: string;
}

export class KubeError extends Error {
  readonly code: KubeErrorCode;
  /** HTTP's; 0 without an answer. */
  readonly httpCode: number;
  /** Of the Status: `NotFound`, `Conflict`, …; empty without. */
  readonly reason: string;
  readonly causes: readonly StatusCause[];
  /** When the server wants to be asked again, seconds. */
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: KubeErrorCode,
    message: string,
    details: {
      readonly httpCode?: number;
      readonly reason?: string;
      readonly causes?: readonly StatusCause[];
      readonly retryAfterSeconds?: number | undefined;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, details.cause === undefined ? {} : { cause: details.cause });
    this.name = 'KubeError';
    this.code = code;
    this.httpCode = details.httpCode ?? 0;
    this.reason = details.reason ?? '';
    this.causes = details.causes ?? [];
    this.retryAfterSeconds = details.retryAfterSeconds;
  }
}

/** Reasons of answers that carry no Status, as client-go guesses them from the code. */
const REASONS: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  406: 'NotAcceptable',
  409: 'Conflict',
  410: 'Expired',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

/**
 * The error of an answer.
 *
 * @param body the Status if it is one, else text that becomes part of the message
 * @param retryAfterSeconds of the header
 */
export function statusError(
  httpCode: number,
  body: unknown,
  text: string,
  retryAfterSeconds?: number,
): KubeError {
  const status = isRecord(body) && body['kind'] === 'Status' ? body : {};
  const details = isRecord(status['details']) ? status['details'] : {};
  const causes = Array.isArray(details['causes']) ? details['causes'].filter((cause) => isRecord(cause)) : [];
  const again = details['retryAfterSeconds'];
  return new KubeError(
    'STATUS',
    textOf(status['message']) || text.trim() || `the server answered with code ${httpCode}`,
    {
      httpCode,
      reason: textOf(status['reason']) || (REASONS[httpCode] ?? ''),
      causes,
      retryAfterSeconds: retryAfterSeconds ?? (typeof again === 'number' ? again : undefined),
    },
  );
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** Whether the server refused for one of these reasons. */
export function hasReason(error: unknown, ...reasons: readonly string[]): boolean {
  return error instanceof KubeError && reasons.includes(error.reason);
}

/** Whether the Status names this cause, `NamespaceTerminating` for one. */
export function hasCause(error: unknown, reason: string): boolean {
  return error instanceof KubeError && error.causes.some((cause) => cause.reason === reason);
}
