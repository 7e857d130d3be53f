/**
 * The body of a request as an object of the kind an endpoint expects: JSON, YAML or protobuf, made to conform to the
 * kind's type, strict about what no field knows as far as `fieldValidation` says. Refusals carry the original's texts.
 *
 * Never defaults and never validates; never reads more than the limit. Modelled on apiserver's endpoints/handlers
 * create.go and apimachinery's serializer/json and serializer/protobuf.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { apiVersionOf, parseApiVersion, type GroupVersionKind, type KubeObject } from '../api/meta.ts';
import { finish, type Pace, type Sliced } from '../api/sliced.ts';
import { badRequest, invalid, type ApiError } from '../api/status.ts';
import { readEnvelope } from '../codec/envelope.ts';
import { JsonSyntaxError, readJson, readJsonInSlices } from '../codec/json-reader.ts';
import { writeJson } from '../codec/json-writer.ts';
import { asObject, type ObjectCodec } from '../codec/object-codec.ts';
import { ProtobufError } from '../codec/protobuf-wire.ts';
import { conform, conformInSlices, TypedError } from '../codec/typed.ts';
import { inOrder } from '../codec/told-order.ts';
import { readYaml, warningsOf, YamlError, type YamlReadOptions } from '../codec/yaml.ts';
import type { ExpectedBody, MediaForm } from '../handlers/wire.ts';
import type { StructSchema } from '../schema/type-schema.ts';

/** What a request's query says of unknown and repeated fields; `Warn` unless said. */
export type FieldValidation = 'Ignore' | 'Warn' | 'Strict';

/** Where the original's schemes stand in its source: messages name them. */
const OBJECTS_SCHEME = 'pkg/api/legacyscheme/scheme.go:30';
const OPTIONS_SCHEME = 'pkg/apis/meta/internalversion/scheme/register.go:27';

/** Strict errors that are told; the rest are as many again of the same mistake. */
const TOLD_MAX = 100;

/** What a body says as YAML, where that was found out beforehand. @throws YamlError */
export type YamlFound = (options: YamlReadOptions) => Json;

/**
 * Decodes a body.
 *
 * @param warn told each strict error under `Warn`
 * @param yaml of a body in YAML; it is read here without
 * @throws ApiError BadRequest in the original's words
 */
export function decodeBody(
  codec: ObjectCodec,
  bytes: Buffer,
  form: MediaForm,
  expected: ExpectedBody,
  validation: FieldValidation,
  warn: (text: string) => void,
  yaml?: YamlFound,
): KubeObject {
  return finish(new BodyDecoder(codec, bytes, expected, validation, warn, yaml).decode(form, undefined));
}

/** The same, which can be put down. @throws ApiError BadRequest in the original's words */
export function decodeBodyInSlices(
  codec: ObjectCodec,
  bytes: Buffer,
  form: MediaForm,
  expected: ExpectedBody,
  validation: FieldValidation,
  warn: (text: string) => void,
  yaml: YamlFound | undefined,
  pace: Pace,
): Sliced<KubeObject> {
  return new BodyDecoder(codec, bytes, expected, validation, warn, yaml).decode(form, pace);
}

class BodyDecoder {
  private readonly codec: ObjectCodec;
  private readonly bytes: Buffer;
  private readonly expected: ExpectedBody;
  private readonly validation: FieldValidation;
  private readonly warn: (text: string) => void;
  private readonly yaml: YamlFound | undefined;
  private readonly strict: string[] = [];
  /** Members of the JSON that are there twice. */
  private readonly repeated: string[] = [];

  constructor(
    codec: ObjectCodec,
    bytes: Buffer,
    expected: ExpectedBody,
    validation: FieldValidation,
    warn: (text: string) => void,
    yaml: YamlFound | undefined,
  ) {
    this.codec = codec;
    this.bytes = bytes;
    this.expected = expected;
    this.validation = validation;
    this.warn = warn;
    this.yaml = yaml;
  }

  /** @param pace undefined for what is short: it is done in one go */
  *decode(form: MediaForm, pace: Pace | undefined): Sliced<KubeObject> {
    if (form === 'protobuf') return yield* this.fromProtobuf(pace);
    const value = form === 'json' ? yield* this.fromJson(pace) : this.fromYaml();
    if (pace?.due() === true) yield;
    this.expected.raw?.(value);
    const kind = this.kindOf(value);
    const schema = this.schemaOf(kind);
    const object = yield* this.typed(kind, schema, value, pace);
    this.settle(kind);
    return this.named(kind, object);
  }

  private *fromProtobuf(pace: Pace | undefined): Sliced<KubeObject> {
    let kind: GroupVersionKind | undefined;
    try {
      if (this.bytes.length === 0) throw new ProtobufError('empty data');
      const envelope = readEnvelope(this.bytes);
      kind = this.actual(envelope.apiVersion, envelope.kind);
      const schema = this.schemaOf(kind);
      if (schema === undefined) throw new ProtobufError(`no protobuf form of ${kind.kind}`);
      const { raw } = envelope;
      const value =
        pace === undefined
          ? this.codec.decode(schema, raw)
          : yield* this.codec.decodeInSlices(schema, raw, pace);
      return this.named(kind, value);
    } catch (error) {
      if (error instanceof ProtobufError) throw this.unreadable(kind, error.message);
      throw error;
    }
  }

  private *fromJson(pace: Pace | undefined): Sliced<JsonObject> {
    const duplicate =
      this.validation === 'Ignore' ? undefined : (path: string) => void this.repeated.push(path);
    const options = duplicate === undefined ? {} : { duplicate };
    const text = this.bytes.toString('utf8');
    try {
      return this.object(
        pace === undefined ? readJson(text, options) : yield* readJsonInSlices(text, options, pace),
      );
    } catch (error) {
      if (!(error instanceof JsonSyntaxError)) throw error;
      throw this.unreadable(undefined, `couldn't get version/kind; json parse error: ${error.message}`);
    }
  }

  private fromYaml(): JsonObject {
    const duplicates = this.validation === 'Ignore' ? undefined : (text: string) => this.tell(text);
    const options = duplicates === undefined ? {} : { duplicates };
    const { yaml } = this;
    try {
      return this.object(yaml === undefined ? readYaml(this.bytes.toString('utf8'), options) : yaml(options));
    } catch (error) {
      if (!(error instanceof YamlError)) throw error;
      throw this.unreadable(undefined, error.message);
    }
  }

  private object(value: Json): JsonObject {
    if (isJsonObject(value)) return value;
    // Go reads null into a struct as if nothing were there.
    if (value === null) return {};
    const what = Array.isArray(value) ? 'array' : typeof value === 'object' ? 'number' : goWord(typeof value);
    throw this.unreadable(
      undefined,
      `couldn't get version/kind; json parse error: json: cannot unmarshal ${what} into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }`,
    );
  }

  private kindOf(value: JsonObject): GroupVersionKind {
    const { apiVersion, kind } = value;
    for (const [name, text] of Object.entries({ apiVersion, kind })) {
      if (text === undefined || text === null || typeof text === 'string') continue;
      throw this.unreadable(
        undefined,
        `couldn't get version/kind; json parse error: json: cannot unmarshal ${goWord(typeof text)} into Go struct field .${name} of type string`,
      );
    }
    if (this.expected.schema === undefined && this.expected.read !== undefined) {
      this.checkCustom(value, textOf(apiVersion), textOf(kind));
    }
    return this.actual(
      typeof apiVersion === 'string' ? apiVersion : '',
      typeof kind === 'string' ? kind : '',
    );
  }

  /** A custom resource says what it is: nothing is added to it. */
  private checkCustom(value: JsonObject, apiVersion: string, kind: string): void {
    const { kind: wanted } = this.expected;
    if (kind === '') {
      throw this.unreadable(undefined, `Object 'Kind' is missing in '${writeJson(value)}'`);
    }
    if (apiVersion === '') {
      throw badRequest(
        `the API version in the data () does not match the expected API version (${apiVersionOf(wanted)})`,
      );
    }
    if (apiVersion !== apiVersionOf(wanted) || kind === wanted.kind) return;
    const body = `Invalid value: ${JSON.stringify(kind)}: must be ${wanted.kind}`;
    const { metadata } = value;
    const name = isJsonObject(metadata) ? textOf(metadata['name']) : '';
    throw invalid({ group: wanted.group, kind }, name, [{ type: 'FieldValueInvalid', field: 'kind', body }]);
  }

  /** What the body says it is, completed by what is expected. */
  private actual(apiVersion: string, kind: string): GroupVersionKind {
    const { kind: wanted } = this.expected;
    if (apiVersion === '') return { ...wanted, kind: kind === '' ? wanted.kind : kind };
    const version = parseApiVersion(apiVersion);
    if (version === undefined) {
      throw this.unreadable(undefined, `unexpected GroupVersion string: ${apiVersion}`);
    }
    return { ...version, kind: kind === '' ? wanted.kind : kind };
  }

  /** The type of an accepted kind; refuses all others. */
  private schemaOf(kind: GroupVersionKind): StructSchema | undefined {
    const { expected, codec } = this;
    if (isSame(kind, expected.kind)) return expected.schema;
    if (expected.anyVersion === true && kind.kind === expected.kind.kind) return expected.schema;
    const other = expected.others?.find((candidate) => isSame(kind, candidate.kind));
    if (other !== undefined) return other.schema;
    const known = codec.typeOf(kind) !== undefined || expected.schema === undefined;
    if (kind.kind === expected.kind.kind && known) {
      throw badRequest(
        `the API version in the data (${apiVersionOf(kind)}) does not match the expected API version (${apiVersionOf(expected.kind)})`,
      );
    }
    if (expected.schema === undefined) {
      throw badRequest(
        `the kind in the data (${kind.kind}) does not match the expected kind (${expected.kind.kind})`,
      );
    }
    const options = expected.kind.kind === 'DeleteOptions';
    const reason =
      known && !options
        ? `converting (${goKind(kind)}) to (${internalKind(expected.kind)}): unknown conversion`
        : `no kind "${kind.kind}" is registered for version "${apiVersionOf(kind)}" in scheme "${options ? OPTIONS_SCHEME : OBJECTS_SCHEME}"`;
    throw this.unreadable(kind, reason);
  }

  private *typed(
    kind: GroupVersionKind,
    schema: StructSchema | undefined,
    value: JsonObject,
    pace: Pace | undefined,
  ): Sliced<JsonObject> {
    const { read, readInSlices } = this.expected;
    if (schema === undefined && read === undefined) return { metadata: {}, ...value };
    const unknown: string[] = [];
    const tell = this.validation === 'Ignore' ? undefined : (path: string) => void unknown.push(path);
    try {
      let object: JsonObject;
      if (schema === undefined) {
        object =
          pace === undefined || readInSlices === undefined
            ? (read?.(value, tell) ?? value)
            : yield* readInSlices(value, tell, pace);
      } else {
        const options = {
          schemaProps: this.codec.schemaProps,
          ...(tell !== undefined && { unknown: tell }),
        };
        object =
          pace === undefined
            ? conform(schema, value, options)
            : yield* conformInSlices(schema, value, options, pace);
      }
      const said = new Map(this.repeated.map((path) => [path, `duplicate field "${path}"`]));
      for (const path of unknown) said.set(path, `unknown field "${path}"`);
      for (const path of inOrder([...said.keys()], value)) this.tell(said.get(path) ?? path);
      return object;
    } catch (error) {
      if (error instanceof TypedError) throw this.unreadable(kind, error.message);
      throw error;
    }
  }

  /** What was said of fields: refused or warned of. */
  private settle(kind: GroupVersionKind): void {
    if (this.strict.length === 0) return;
    if (this.validation === 'Strict') {
      throw this.unreadable(kind, `strict decoding error: ${this.strict.join(', ')}`);
    }
    for (const text of this.strict.flatMap(warningsOf)) this.warn(text);
  }

  private tell(text: string): void {
    if (this.strict.length < TOLD_MAX) this.strict.push(text);
  }

  private unreadable(kind: GroupVersionKind | undefined, reason: string): ApiError {
    const wanted = this.expected.kind.kind;
    // Options are decoded by the handler itself in the original, which says no more.
    if (wanted === 'DeleteOptions') return badRequest(reason);
    if (kind === undefined || kind.kind === '') {
      return badRequest(
        `the object provided is unrecognized (must be of type ${wanted}): ${reason} (${summary(this.bytes)})`,
      );
    }
    return badRequest(
      `${kind.kind} in version "${kind.version}" cannot be handled as a ${wanted}: ${reason}`,
    );
  }

  private named(kind: GroupVersionKind, value: JsonObject): KubeObject {
    const { kind: _kind, apiVersion: _apiVersion, metadata, ...rest } = value;
    return asObject({
      kind: kind.kind,
      apiVersion: apiVersionOf(kind),
      ...(metadata !== undefined && { metadata }),
      ...rest,
    });
  }
}

function isSame(a: GroupVersionKind, b: GroupVersionKind): boolean {
  return a.kind === b.kind && a.version === b.version && a.group === b.group;
}

/** `v1.Pod`, as Go names a type. */
function goKind({ group, version, kind }: GroupVersionKind): string {
  return `${group === '' ? '' : `${group.replace(/\..*$/, '')}/`}${version}.${kind}`;
}

/** `core.Pod`: the type without a version that all of a kind's are converted to. */
function internalKind({ group, kind }: GroupVersionKind): string {
  return `${group === '' || group === 'events.k8s.io' ? 'core' : group.replace(/\..*$/, '')}.${kind}`;
}

function goWord(type: string): string {
  return type === 'boolean' ? 'bool' : type === 'bigint' ? 'number' : type;
}

const SUMMARY_BYTES = 30;

/** The beginning of a body, as hexadecimal digits unless it looks like JSON. */
function summary(bytes: Buffer): string {
  if (bytes.length === 0) return '<empty>';
  const rest = bytes.length > SUMMARY_BYTES ? ' ...' : '';
  const start = bytes.subarray(0, SUMMARY_BYTES);
  return `${start.toString(bytes[0] === 0x7b ? 'utf8' : 'hex')}${rest}`;
}

/**
 * `fieldValidation` of a query.
 *
 * @param options the kind the refusal names, `CreateOptions`
 * @throws ApiError Invalid for another word
 */
export function fieldValidation(query: URLSearchParams, options: string): FieldValidation {
  const text = query.get('fieldValidation') ?? '';
  switch (text) {
    case '':
      return 'Warn';
    case 'Ignore':
    case 'Warn':
    case 'Strict':
      return text;
    default:
      throw invalid({ group: 'meta.k8s.io', kind: options }, '', [
        {
          type: 'FieldValueNotSupported',
          field: 'fieldValidation',
          body: `Unsupported value: "${text}": supported values: "", "Ignore", "Strict", "Warn"`,
        },
      ]);
  }
}

const textOf = (value: Json | undefined): string => (typeof value === 'string' ? value : '');
