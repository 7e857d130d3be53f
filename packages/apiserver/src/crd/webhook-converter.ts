/**
 * Conversion by a webhook: objects in one call, metadata kept but for labels and annotations, answers remembered for a
 * while by what was asked. What goes wrong is the client's 500, in the original's words.
 *
 * Modelled on apiextensions-apiserver's apiserver/conversion/webhook_converter.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { parseApiVersion, type KubeObject } from '../api/meta.ts';
import type { Slices } from '../api/sliced.ts';
import { ApiError } from '../api/status.ts';
import { readAnswer, targetOf } from '../admission/webhooks/call-webhook.ts';
import type { WebhookContext } from '../admission/webhooks/webhook-context.ts';
import { writeJson } from '../codec/json-writer.ts';
import { asJson, asObject } from '../codec/object-codec.ts';
import { ConversionNeeded } from '../registry/conversions.ts';
import { FieldErrors } from '../validation/field-errors.ts';
import { FieldPath } from '../validation/field-path.ts';
import { checkAnnotations, checkLabels } from '../validation/labels.ts';
import { part, partOf, text, textMap, texts } from '../validation/value.ts';
import type { Converter } from './converter.ts';

export type ConversionCalls = Pick<WebhookContext, 'caller' | 'uuid' | 'resolve'>;

const TIMEOUT_SECONDS = 30;
/** Objects of one call, and their JSON: an answer of about that length is read in one go. */
const OBJECTS_MAX = 500;
const LENGTH_MAX = 512 * 1024;
/** Of answers that are remembered, as text. */
const REMEMBERED_MAX = 16 * 1024 * 1024;

/** How a review ends behind its objects, which are its last member. */
const END = ']}}';

interface Asked {
  readonly object: KubeObject;
  readonly key: string;
}

export class WebhookConverter implements Converter {
  readonly calls = true;
  private readonly webhook: JsonObject;
  private readonly context: ConversionCalls;
  private readonly answers = new Map<string, JsonObject>();
  private size = 0;

  constructor(crd: KubeObject, context: ConversionCalls) {
    this.webhook = part(part(part(crd, 'spec'), 'conversion'), 'webhook');
    this.context = context;
  }

  convert(object: KubeObject, apiVersion: string): KubeObject {
    const answer = this.answers.get(keyOf(object, apiVersion));
    if (answer === undefined) throw new ConversionNeeded(() => this.prepare([object], apiVersion));
    return withMetadataOf(object, answer);
  }

  /** Asks for objects that are not of this version and were not asked for lately. @throws ApiError */
  async prepare(objects: readonly KubeObject[], apiVersion: string, slices?: Slices): Promise<void> {
    const asked: Asked[] = [];
    for (const object of objects) {
      if (object.apiVersion === apiVersion) continue;
      if (slices?.due() === true) await slices.turn();
      const key = keyOf(object, apiVersion);
      if (!this.answers.has(key)) asked.push({ object, key });
    }
    if (asked.length === 0) return;
    const kind = kindText(asked[0].object);
    // Answers of this piece of work stay until the next one: they are needed right away.
    if (this.size > REMEMBERED_MAX) {
      this.answers.clear();
      this.size = 0;
    }
    for (let at = 0; at < asked.length;) {
      const some: Asked[] = [];
      const texts: string[] = [];
      for (let length = 0; at < asked.length && some.length < OBJECTS_MAX && length < LENGTH_MAX; at += 1) {
        if (slices?.due() === true) await slices.turn();
        const json = writeJson(asJson(asked[at].object));
        some.push(asked[at]);
        texts.push(json);
        length += json.length;
      }
      const converted = await this.ask(texts, apiVersion, kind);
      for (const [index, { object, key }] of some.entries()) {
        if (slices?.due() === true) await slices.turn();
        this.answers.set(key, checked(object, converted[index], apiVersion, kind, index));
        this.size += key.length;
      }
    }
  }

  /** @param objects as JSON */
  private async ask(
    objects: readonly string[],
    desiredAPIVersion: string,
    kind: string,
  ): Promise<readonly Json[]> {
    const version = texts(this.webhook, 'conversionReviewVersions').find(
      (each) => each === 'v1' || each === 'v1beta1',
    );
    if (version === undefined) throw failure('no supported conversion review versions');
    const uid = this.context.uuid();
    const review: JsonObject = {
      kind: 'ConversionReview',
      apiVersion: `apiextensions.k8s.io/${version}`,
      request: { uid, desiredAPIVersion, objects: [] },
    };
    const head = writeJson(review);
    const body = [head.slice(0, -END.length), objects.join(), END].join('');
    let answer: Json;
    try {
      const target = await targetOf(this.context, part(this.webhook, 'clientConfig'), TIMEOUT_SECONDS);
      const { code, body: given } = await this.context.caller.post(target, Buffer.from(body), {
        timeoutMs: TIMEOUT_SECONDS * 1_000,
        signal: new AbortController().signal,
      });
      answer = readAnswer(code, given);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw failure(`conversion webhook for ${kind} failed: ${why}`);
    }
    const response = isJsonObject(answer) ? partOf(answer, 'response') : undefined;
    const refused = refusal(answer, response, version, uid);
    if (refused !== undefined) throw failure(`conversion webhook for ${kind} failed: ${refused}`);
    const converted = response?.['convertedObjects'];
    const list: readonly Json[] = Array.isArray(converted) ? converted : [];
    if (list.length !== objects.length) {
      throw failure(
        `conversion webhook for ${kind} returned ${list.length} objects, expected ${objects.length}`,
      );
    }
    return list;
  }
}

/** Why an answer is none. */
function refusal(
  answer: Json,
  response: JsonObject | undefined,
  version: string,
  uid: string,
): string | undefined {
  const review = isJsonObject(answer) ? answer : {};
  const wanted = `apiextensions.k8s.io/${version}`;
  if (
    version === 'v1' &&
    (text(review, 'apiVersion') !== wanted || text(review, 'kind') !== 'ConversionReview')
  ) {
    return `expected webhook response of ${wanted}, Kind=ConversionReview, got ${text(review, 'apiVersion')}, Kind=${text(review, 'kind')}`;
  }
  if (response === undefined) return 'no response provided';
  if (version === 'v1' && text(response, 'uid') !== uid) {
    return `expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(text(response, 'uid'))}`;
  }
  const result = part(response, 'result');
  if (text(result, 'status') === 'Success') return undefined;
  const message = text(result, 'message');
  return message === '' ? `response.result.status was '${text(result, 'status')}', not 'Success'` : message;
}

/** A converted object that may be used. @throws ApiError */
function checked(
  original: KubeObject,
  given: Json,
  apiVersion: string,
  kind: string,
  index: number,
): JsonObject {
  const object = isJsonObject(given) ? given : {};
  const invalid = (what: string): ApiError =>
    failure(`conversion webhook for ${kind} returned invalid ${what}`);
  if (text(object, 'apiVersion') !== apiVersion) {
    throw invalid(
      `converted object at index ${index}: invalid groupVersion (expected ${apiVersion}, received ${text(object, 'apiVersion')})`,
    );
  }
  if (text(object, 'kind') !== original.kind) {
    throw invalid(
      `converted object at index ${index}: invalid kind (expected ${original.kind}, received ${text(object, 'kind')})`,
    );
  }
  const metadata = object['metadata'];
  for (const name of ['name', 'namespace', 'uid'] as const) {
    const [before, after] = [original.metadata[name] ?? '', text(part(object, 'metadata'), name)];
    if (before !== after) {
      const word = name === 'uid' ? 'UID' : name;
      throw invalid(`converted object at index ${index}: must have the same ${word}: ${before} != ${after}`);
    }
  }
  if (!isJsonObject(metadata)) throw invalid(`metadata in object at index ${index}: missing metadata`);
  const errors = new FieldErrors();
  const path = FieldPath.of('metadata');
  checkLabels(errors, path.child('labels'), textMap(metadata, 'labels'));
  checkAnnotations(errors, path.child('annotations'), textMap(metadata, 'annotations'));
  if (errors.size > 0) {
    const told = errors.list.map(({ field, body }) => `${field}: ${body}`).join(', ');
    throw invalid(`metadata in object at index ${index}: ${told}`);
  }
  return object;
}

/** The answer with the metadata of what was asked, labels and annotations apart. */
function withMetadataOf({ metadata }: KubeObject, answer: JsonObject): KubeObject {
  const { labels: _labels, annotations: _annotations, ...kept } = metadata;
  const given = part(answer, 'metadata');
  const marks: Record<string, Json> = {};
  for (const name of ['labels', 'annotations']) {
    const value = partOf(given, name);
    if (value !== undefined) marks[name] = value;
  }
  return { ...asObject(answer), metadata: { ...kept, ...marks } };
}

/** What an answer depends on: everything but the metadata that conversion leaves alone. */
function keyOf(object: KubeObject, apiVersion: string): string {
  const { labels = {}, annotations = {}, name = '', namespace = '', uid = '' } = object.metadata;
  return `${apiVersion}\n${writeJson(asJson({ ...object, metadata: { labels, annotations, name, namespace, uid } }))}`;
}

function kindText({ apiVersion, kind }: KubeObject): string {
  const { group, version } = parseApiVersion(apiVersion) ?? { group: '', version: apiVersion };
  return `${group}/${version}, Kind=${kind}`;
}

function failure(message: string): ApiError {
  return new ApiError({ code: 500, reason: '', message });
}
