/**
 * One webhook asked about one request: where it is, what it is sent, what its answer means. Tells a call that failed
 * from a request that was refused, since only the first is the failure policy's.
 *
 * Modelled on the dispatchers of apiserver's admission/plugin/webhook and util/webhook.
 */

import { isJsonObject, type Json, type JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { ApiError, badRequest, type StatusReason } from '../../api/status.ts';
import { JsonSyntaxError, readJson } from '../../codec/json-reader.ts';
import { writeJson } from '../../codec/json-writer.ts';
import { qualifiedNameErrors } from '../../validation/names.ts';
import { has, part, text, countOf } from '../../validation/value.ts';
import { NO_CREDENTIALS } from '../../outbound/call-credentials.ts';
import { postShown } from '../../outbound/post-shown.ts';
import type { AdmissionAttributes } from '../admission.ts';
import { textOf } from '../refusals.ts';
import type { Invocation } from './match.ts';
import { readReview, reviewRequest, reviewVersionOf, type Review, type ReviewStatus } from './review.ts';
import type { WebhookContext } from './webhook-context.ts';

/** A call that did not come to an answer; the failure policy says what becomes of it. */
export class CallFailed extends Error {
  override readonly name = 'CallFailed';
  /** HTTP code, for metrics. */
  readonly code: number;

  constructor(webhook: string, reason: string, code: number, options?: ErrorOptions) {
    super(`failed calling webhook ${JSON.stringify(webhook)}: ${reason}`, options);
    this.code = code;
  }
}

export interface WebhookQuestion {
  readonly invocation: Invocation;
  readonly attributes: AdmissionAttributes;
  /** In the form of the invocation. */
  readonly object: KubeObject | undefined;
  readonly oldObject: KubeObject | undefined;
  readonly mutating: boolean;
}

const SERVICE_PORT = 443;

/**
 * @returns the answer, which lets the request in
 * @throws CallFailed; ApiError when it is refused
 */
export async function callWebhook(context: WebhookContext, question: WebhookQuestion): Promise<Review> {
  const { invocation, attributes, mutating } = question;
  const { webhook } = invocation;
  const { name } = webhook;
  if (attributes.dryRun && webhook.sideEffects !== 'None' && webhook.sideEffects !== 'NoneOnDryRun') {
    throw badRequest(`admission webhook ${JSON.stringify(name)} does not support dry run`);
  }
  const version = reviewVersionOf(webhook.reviewVersions);
  if (version === undefined) {
    throw new CallFailed(
      name,
      'could not create admission objects: webhook does not accept known AdmissionReview versions (v1, v1beta1)',
      400,
    );
  }
  const uid = context.uuid();
  const body = reviewRequest(version, uid, invocation, attributes, question.object, question.oldObject);
  const answer = await post(context, question, body);
  let review: Review;
  try {
    review = readReview(answer, version, uid, mutating);
  } catch (error) {
    throw new CallFailed(name, `received invalid webhook response: ${textOf(error)}`, 503, { cause: error });
  }
  for (const [key, value] of review.auditAnnotations) {
    const annotation = `${name}/${key}`;
    // A key that is none is left out, as the original leaves it out.
    if (qualifiedNameErrors(annotation).length === 0) attributes.annotate(annotation, value);
  }
  for (const warning of review.warnings) attributes.warn(warning);
  if (!review.allowed) throw denial(name, review.status);
  return review;
}

async function post(context: WebhookContext, question: WebhookQuestion, body: JsonObject): Promise<Json> {
  const { invocation, attributes } = question;
  const { webhook } = invocation;
  const { name, timeoutSeconds } = webhook;
  try {
    const target = await targetOf(context, webhook.clientConfig, timeoutSeconds);
    const { host, port } = new URL(target.url);
    const credentials = context.credentials?.(
      port === '' ? `${host}:${SERVICE_PORT}` : host,
      question.mutating ? 'admit' : 'validating',
    );
    const { code, body: bytes } = await postShown(
      context.caller,
      target,
      credentials ?? NO_CREDENTIALS,
      Buffer.from(writeJson(body)),
      { timeoutMs: timeoutSeconds * 1_000, signal: attributes.signal },
    );
    return readAnswer(code, bytes);
  } catch (error) {
    const code = error instanceof BadAnswer ? error.code : question.mutating ? 503 : 400;
    const text =
      error instanceof JsonSyntaxError
        ? `couldn't get version/kind; json parse error: ${error.message}`
        : textOf(error);
    throw new CallFailed(name, `failed to call webhook: ${text}`, code, { cause: error });
  }
}

interface Target {
  readonly url: string;
  readonly caBundle: string;
  readonly address?: { readonly host: string; readonly port: number };
}

/** Where a webhook is. @throws Error */
export async function targetOf(
  context: Pick<WebhookContext, 'resolve'>,
  clientConfig: JsonObject,
  timeoutSeconds: number,
): Promise<Target> {
  const caBundle = Buffer.from(text(clientConfig, 'caBundle'), 'base64').toString('latin1');
  if (!has(clientConfig, 'service')) {
    const url = text(clientConfig, 'url');
    if (url === '') throw new Error('webhook configuration must have either service or URL');
    if (!URL.canParse(url)) throw new Error(`Unparsable URL: ${url}`);
    return { url: withTimeout(new URL(url), timeoutSeconds), caBundle };
  }
  const service = part(clientConfig, 'service');
  const [name, namespace] = [text(service, 'name'), text(service, 'namespace')];
  const port = countOf(service, 'port') ?? SERVICE_PORT;
  const path = text(service, 'path');
  const url = `https://${name}.${namespace}.svc:${port}${path.startsWith('/') ? '' : '/'}${path}`;
  if (!URL.canParse(url)) throw new Error(`Unparsable URL: ${url}`);
  const shown = withTimeout(url, timeoutSeconds);
  if (context.resolve === undefined) return { url: shown, caBundle };
  try {
    return { url: shown, caBundle, address: await context.resolve(namespace, name, port) };
  } catch (error) {
    throw new Error(`Post ${JSON.stringify(shown)}: ${textOf(error)}`, { cause: error });
  }
}

/** The server is told how long it is waited for. */
function withTimeout(url: URL | string, seconds: number): string {
  const text = String(url);
  return `${text}${text.includes('?') ? '&' : '?'}timeout=${seconds}s`;
}

/** The JSON of an answer. @throws BadAnswer, JsonSyntaxError */
export function readAnswer(code: number, body: Buffer): Json {
  if (code < 200 || code > 206) throw new BadAnswer(code, body);
  return readJson(body.toString('utf8'));
}

/** An answer with a code that says it is none, in client-go's words. */
class BadAnswer extends Error {
  override readonly name = 'BadAnswer';
  readonly code: number;

  constructor(code: number, body: Buffer) {
    super(badAnswerText(code, body));
    this.code = code;
  }
}

const ANSWERS: Readonly<Record<number, string>> = {
  400: 'the server rejected our request for an unknown reason',
  401: 'the server has asked for the client to provide credentials',
  404: 'the server could not find the requested resource',
  405: 'the server does not allow this method on the requested resource',
  413: 'the request is too large',
  415: 'the body of the request was in an unknown format - accepted media types include: ',
  429: 'the server has received too many requests and has asked us to try again later',
  503: 'the server is currently unable to handle the request',
  504: 'the server was unable to return a response in the time allotted, but may still be processing the request',
};
const SHOWN_MAX = 2_048;

function badAnswerText(code: number, body: Buffer): string {
  const said = statusMessage(body);
  if (said !== undefined) return said;
  const text = body.subarray(0, SHOWN_MAX).toString('utf8').trim();
  if (code === 403) return text === '' ? 'unknown' : text;
  if (Object.hasOwn(ANSWERS, code)) return ANSWERS[code];
  if (code >= 500) {
    return `an error on the server (${JSON.stringify(text === '' ? 'unknown' : text)}) has prevented the request from succeeding`;
  }
  return `the server responded with the status code ${code} but did not return more information`;
}

/** What a Status says, where one was answered. */
function statusMessage(body: Buffer): string | undefined {
  try {
    const value = readJson(body.toString('utf8'));
    if (!isJsonObject(value) || value['kind'] !== 'Status' || value['apiVersion'] !== 'v1') return undefined;
    const message = text(value, 'message');
    return message === '' ? undefined : message;
  } catch (error) {
    if (error instanceof JsonSyntaxError) return undefined;
    throw error;
  }
}

const BAD_REQUEST = 400;

/** The refusal with the webhook's own code, reason and words. */
function denial(name: string, { code, reason, message, details }: ReviewStatus): ApiError {
  const denied = `admission webhook ${JSON.stringify(name)} denied the request`;
  const said =
    message !== ''
      ? `${denied}: ${message}`
      : reason !== ''
        ? `${denied}: ${reason}`
        : `${denied} without explanation`;
  return new ApiError({
    code: code < BAD_REQUEST ? BAD_REQUEST : code,
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a webhook may have a reason of its own
    reason: reason as StatusReason,
    message: said,
    ...(isJsonObject(details) ? { details } : {}),
  });
}
