/**
 * Conversion by a webhook: objects in one call, metadata kept but for labels and annotations, answers remembered for a
 * while by what was asked. What goes wrong is the client's 500, in the original's words.
 *
 * Modelled on apiextensions-apiserver's apiserver/conversion/webhook_converter.
 */

import { equalJson } from '../api/equal.ts';
import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { parseApiVersion, type KubeObject, type ObjectMeta } from '../api/meta.ts';
import type { Slices } from '../api/sliced.ts';
import { ApiError } from '../api/status.ts';
import { aggregateText, textOf } from '../admission/refusals.ts';
import { targetOf } from '../admission/webhooks/call-webhook.ts';
import type { WebhookContext } from '../admission/webhooks/webhook-context.ts';
import { writeJson } from '../codec/json-writer.ts';
import { asJson, asObject } from '../codec/object-codec.ts';
import { CallError } from '../outbound/https-caller.ts';
import { ConversionNeeded } from '../registry/conversions.ts';
import { FieldErrors } from '../validation/field-errors.ts';
import { FieldPath } from '../validation/field-path.ts';
import { checkAnnotations, checkLabels } from '../validation/labels.ts';
import { part, partOf, text, textMap, texts } from '../validation/value.ts';
import { convertedObjects, objectOf } from './conversion-answer.ts';
import type { Converter } from './converter.ts';
import { goType } from './go-form.ts';

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
    if (isBare(object)) return { ...object, apiVersion };
    const answer = this.answers.get(keyOf(object, apiVersion));
    if (answer === undefined) throw new ConversionNeeded(() => this.prepare([object], apiVersion));
    return withMetadataOf(object, answer);
  }

  /** Asks for objects that are not of this version and were not asked for lately. @throws ApiError */
  async prepare(objects: readonly KubeObject[], apiVersion: string, slices?: Slices): Promise<void> {
    const asked: Asked[] = [];
    for (const object of objects) {
      if (object.apiVersion === apiVersion || isBare(object)) continue;
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
        this.answers.set(key, checked(object, converted[index], apiVersion, kind));
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
    let converted: readonly Json[];
    try {
      const target = await targetOf(this.context, part(this.webhook, 'clientConfig'), TIMEOUT_SECONDS);
      const { code, body: given } = await this.context.caller.post(target, Buffer.from(body), {
        timeoutMs: TIMEOUT_SECONDS * 1_000,
        signal: new AbortController().signal,
      });
      converted = convertedObjects(code, given, version, uid);
    } catch (error) {
      const late = error instanceof CallError && error.kind === 'timeout';
      const why = late ? `${error.message} (Client.Timeout exceeded while awaiting headers)` : textOf(error);
      throw failure(`conversion webhook for ${kind} failed: ${why}`);
    }
    if (converted.length !== objects.length) {
      throw failure(
        `conversion webhook for ${kind} returned ${converted.length} objects, expected ${objects.length}`,
      );
    }
    return converted;
  }
}

/** A converted object that may be used. @throws ApiError */
function checked(original: KubeObject, given: Json, apiVersion: string, kind: string): JsonObject {
  const object = readObject(given);
  const invalid = (what: string): ApiError =>
    failure(`conversion webhook for ${kind} returned invalid ${what}`);
  if (text(object, 'apiVersion') !== apiVersion) {
    throw invalid(
      `object at index 0: invalid groupVersion (expected ${apiVersion}, received ${text(object, 'apiVersion')})`,
    );
  }
  if (text(object, 'kind') !== original.kind) {
    throw invalid(
      `object at index 0: invalid kind (expected ${original.kind}, received ${text(object, 'kind')})`,
    );
  }
  const before = metadataOf(original);
  for (const name of ['name', 'namespace', 'uid'] as const) {
    const [wanted, named] = [before[name] ?? '', text(part(object, 'metadata'), name)];
    if (wanted === named) continue;
    throw invalid(`object: must have the same ${name === 'uid' ? 'UID' : name}: ${wanted} != ${named}`);
  }
  const wrong = metadataError(object, before);
  if (wrong !== undefined) throw invalid(`metadata: ${wrong}`);
  return object;
}

/** @throws ApiError without a word of who converted: so the original says it */
function readObject(given: Json): JsonObject {
  let object: JsonObject;
  try {
    object = objectOf(given);
  } catch (error) {
    throw failure(textOf(error));
  }
  const apiVersion = text(object, 'apiVersion');
  if (text(object, 'kind') === '' || (apiVersion !== '' && parseApiVersion(apiVersion) === undefined)) {
    throw failure(`Object 'Kind' is missing in '${writeJson(object)}'`);
  }
  return object;
}

/** What cannot be taken from the answer's metadata, which gives labels and annotations alone. */
function metadataError(object: JsonObject, before: Partial<ObjectMeta>): string | undefined {
  if (!Object.hasOwn(object, 'metadata')) return 'missing metadata in converted object';
  const { metadata } = object;
  if (!isJsonObject(metadata)) return `invalid metadata of type ${goType(metadata)} in converted object`;
  for (const name of ['labels', 'annotations'] as const) {
    const given = metadata[name] ?? null;
    if (given === null) continue;
    if (!isJsonObject(given)) return `invalid metadata.${name} of type ${goType(given)} in converted object`;
    for (const [key, value] of Object.entries(given)) {
      if (typeof value === 'string') continue;
      return `metadata.${name}[${key}] must be a string, but is ${goType(value)} in converted object`;
    }
    if (equalJson(given, before[name] ?? {})) continue;
    const errors = new FieldErrors();
    const path = FieldPath.of('metadata');
    if (name === 'labels') checkLabels(errors, path.child('labels'), textMap(metadata, 'labels'));
    else checkAnnotations(errors, path.child('annotation'), textMap(metadata, 'annotations'));
    if (errors.size > 0) return aggregateText(errors.list.map(({ field, body }) => `${field}: ${body}`));
  }
  return undefined;
}

/** The answer with the metadata of what was asked, labels and annotations apart. */
function withMetadataOf(asked: KubeObject, answer: JsonObject): KubeObject {
  const { labels: _labels, annotations: _annotations, ...kept } = metadataOf(asked);
  const given = part(answer, 'metadata');
  const marks: Record<string, Json> = {};
  for (const name of ['labels', 'annotations']) {
    const value = partOf(given, name);
    if (value !== undefined && Object.keys(value).length > 0) marks[name] = value;
  }
  return { ...asObject(answer), metadata: { ...kept, ...marks } };
}

/**
 * What an answer depends on: everything but the metadata that conversion leaves alone. The uid is left out too: an object
 * that is made gets another one whenever that is begun again.
 */
function keyOf(object: KubeObject, apiVersion: string): string {
  const { labels = {}, annotations = {}, name = '', namespace = '' } = metadataOf(object);
  return `${apiVersion}\n${writeJson(asJson({ ...object, metadata: { labels, annotations, name, namespace } }))}`;
}

/** None at all where an apply takes away everything that its manager owned before it is given back what stays. */
function metadataOf(object: KubeObject): Partial<ObjectMeta> {
  const { metadata }: { readonly metadata?: ObjectMeta } = object;
  return metadata ?? {};
}

/** Nobody is asked for what has neither metadata nor anything else. */
function isBare(object: KubeObject): boolean {
  return Object.keys(object).length === 2;
}

function kindText({ apiVersion, kind }: KubeObject): string {
  const { group, version } = parseApiVersion(apiVersion) ?? { group: '', version: apiVersion };
  return `${group}/${version}, Kind=${kind}`;
}

function failure(message: string): ApiError {
  return new ApiError({ code: 500, reason: '', message });
}
