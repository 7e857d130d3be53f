/**
 * What a conversion webhook answers, read as the original reads it: a ConversionReview of the version that it was asked
 * in, for the question that it was asked, with as many objects. Texts are the original's.
 */

import { goQuote } from '@keelson/base';

import { readAnswer } from '../admission/webhooks/call-webhook.ts';
import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { parseApiVersion } from '../api/meta.ts';
import { JsonSyntaxError } from '../codec/json-reader.ts';
import { partOf, text } from '../validation/value.ts';

const GROUP = 'apiextensions.k8s.io';
const KIND = 'ConversionReview';
const HEAD = String.raw`struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }`;
/** Where the original makes the scheme that it reads answers with. */
const SCHEME = 'pkg/runtime/scheme.go:111';

/**
 * The objects that a webhook answered with; they are as they came.
 *
 * @param version of the review: `v1` or `v1beta1`
 * @throws Error
 */
export function convertedObjects(code: number, body: Buffer, version: string, uid: string): readonly Json[] {
  const review = reviewOf(code, body);
  checkKind(review, version);
  const response = structAt(review, 'response', 'ConversionReview.response', `${version}.ConversionResponse`);
  const result = structAt(response ?? {}, 'result', 'ConversionResponse.response.result', 'v1.Status') ?? {};
  for (const name of ['status', 'message']) textAt(result, name, `Status.response.result.${name}`);
  const objects = response?.['convertedObjects'] ?? [];
  if (!Array.isArray(objects)) {
    throw unreadable(
      objects,
      'struct field ConversionResponse.response.convertedObjects of type []runtime.RawExtension',
    );
  }
  // The older version is not asked who it is.
  if (version === 'v1' && (text(review, 'kind') !== KIND || text(review, 'apiVersion') !== `${GROUP}/v1`)) {
    const got = text(review, 'apiVersion');
    throw new Error(
      `expected webhook response of ${GROUP}/v1, Kind=${KIND}, got ${got === '' ? '/' : got}, Kind=${text(review, 'kind')}`,
    );
  }
  if (response === undefined) throw new Error('no response provided');
  if (version === 'v1' && text(response, 'uid') !== uid) {
    throw new Error(`expected response.uid=${goQuote(uid)}, got ${goQuote(text(response, 'uid'))}`);
  }
  const status = text(result, 'status');
  if (status === 'Success') return objects;
  const message = text(result, 'message');
  throw new Error(message === '' ? `response.result.status was '${status}', not 'Success'` : message);
}

function reviewOf(code: number, body: Buffer): JsonObject {
  if (body.length === 0 && code >= 200 && code < 300) {
    throw new Error(`0-length response with status code: ${code} and content type: application/json`);
  }
  const noKind = (why: string): Error => new Error(`couldn't get version/kind; json parse error: ${why}`);
  let review: Json;
  try {
    review = readAnswer(code, body);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    // What is no JSON is read as YAML, where most of it is a text.
    const plain = /^[^\s{}[\]"':#&*!|>%@`-][^:#{}[\]]*$/u.test(body.toString('utf8'));
    throw noKind(plain ? unreadable('', `value of type ${HEAD}`).message : error.message);
  }
  if (review === null) return {};
  if (!isJsonObject(review)) throw noKind(unreadable(review, `value of type ${HEAD}`).message);
  return review;
}

/** Who says of both what it is has to be of a kind that is known there. */
function checkKind(review: JsonObject, version: string): void {
  const [apiVersion, kind] = [text(review, 'apiVersion'), text(review, 'kind')];
  if (apiVersion === '' || kind === '' || parseApiVersion(apiVersion) === undefined) return;
  const other = version === 'v1' ? 'v1beta1' : 'v1';
  if (kind === KIND && apiVersion === `${GROUP}/${version}`) return;
  if (kind === KIND && apiVersion === `${GROUP}/${other}`) {
    throw new Error(`converting (${other}.${KIND}) to (${version}.${KIND}): unknown conversion`);
  }
  throw new Error(`no kind "${kind}" is registered for version "${apiVersion}" in scheme "${SCHEME}"`);
}

function structAt(value: JsonObject, name: string, path: string, type: string): JsonObject | undefined {
  const member = value[name] ?? null;
  if (member !== null && !isJsonObject(member))
    throw unreadable(member, `struct field ${path} of type ${type}`);
  return partOf(value, name);
}

function textAt(value: JsonObject, name: string, path: string): void {
  const member = value[name] ?? null;
  if (member !== null && typeof member !== 'string') {
    throw unreadable(member, `struct field ${path} of type string`);
  }
}

/** An object as it came, of any kind. @throws Error */
export function objectOf(given: Json): JsonObject {
  if (given === null) throw new Error('unexpected end of JSON input');
  if (!isJsonObject(given)) throw unreadable(given, 'value of type map[string]interface {}');
  return given;
}

function unreadable(value: Json, into: string): Error {
  return new Error(`json: cannot unmarshal ${wordOf(value)} into Go ${into}`);
}

function wordOf(value: Json): string {
  if (Array.isArray(value)) return 'array';
  if (isJsonObject(value)) return 'object';
  if (typeof value === 'boolean') return 'bool';
  return typeof value === 'string' ? 'string' : 'number';
}
