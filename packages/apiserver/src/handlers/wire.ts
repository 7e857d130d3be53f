/**
 * What handlers need of the wire and http/ gives them: the body of a request as an object, the form the client
 * wants its answer in, and the frames of a watch. Types, and how large a part is; server.ts joins both sides.
 */

import type { ApiRequest, ApiResponse } from '../api/exchange.ts';
import type { Json, JsonObject } from '../api/json.ts';
import type { GroupVersionKind, KubeObject } from '../api/meta.ts';
import type { Pace, Sliced, Slices } from '../api/sliced.ts';
import type { LongYamlOptions } from '../codec/long-yaml.ts';
import type { StructSchema } from '../schema/type-schema.ts';
import type { StoredObject } from '../storage/storage.ts';

export type MediaForm = 'json' | 'yaml' | 'protobuf';

/** What the client's Accept asks for. */
export interface AnswerForm {
  readonly media: MediaForm;
  /** `Table` and `PartialObjectMetadata(List)` are made by the handler; `object` is as it is. */
  readonly as: 'object' | 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList';
  /** meta.k8s.io's version of a Table or metadata, `v1` or `v1beta1`; empty for `object`. */
  readonly version: string;
  /** JSON with line breaks: asked for, or the client is a browser or curl. */
  readonly pretty: boolean;
}

/** What a body is read as. */
export interface ExpectedBody {
  /** kind and apiVersion may be left out of the body: then it is this. */
  readonly kind: GroupVersionKind;
  /** Undefined: kept as it is (no field validation). */
  readonly schema: StructSchema | undefined;
  /** Reads a custom resource, in place of the type. @throws TypedError */
  readonly read?: (value: JsonObject, unknown?: (path: string) => void) => JsonObject;
  /** The same, which can be put down. */
  readonly readInSlices?: (
    value: JsonObject,
    unknown: ((path: string) => void) | undefined,
    pace: Pace,
  ) => Sliced<JsonObject>;
  /** Told a JSON or YAML body before a type drops what says nothing: empty lists. */
  readonly raw?: (value: JsonObject) => void;
  /** Asked for the slices of a body that is long; without, it is read in one go. */
  readonly long?: () => Slices;
  /** Any apiVersion will do, only the kind counts: DeleteOptions belongs to every group. */
  readonly anyVersion?: boolean;
  /** Kinds and versions that are read as well; for them the schema is found by the reader. */
  readonly others?: readonly { readonly kind: GroupVersionKind; readonly schema: StructSchema }[];
}

/** One event of a watch as it goes out. */
export interface WireEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: KubeObject;
  /** The object's JSON where somebody has it already: it is sent as it is to clients that want JSON. */
  readonly json?: Buffer;
  /** Of the state a watch begins with: nobody else is told of it now. */
  readonly initial?: boolean;
}

/** Objects of a part of a list: about a millisecond of decoding and encoding pods. A list of more is made part by part. */
export const PART_COUNT = 8;

/** A list that is made in parts. */
export interface PartedList {
  /** Without an item. */
  readonly head: KubeObject;
  /** What all its items are made of. */
  readonly stored: readonly StoredObject[];
  /** The list with these of its items, when it is their turn: a few at a time, so that nobody else waits for long. */
  part(stored: readonly StoredObject[]): Promise<KubeObject>;
  /** The version its objects are shown in, and whether one looks the same whenever it is: not where a webhook converts. */
  readonly apiVersion: string;
  readonly steady: boolean;
}

/** What a long list is sent as. */
export interface LongList {
  readonly contentType: string;
  readonly chunks: AsyncIterable<Buffer>;
}

export interface Wire {
  /**
   * Reads and decodes the body: media type, size, strictness (`fieldValidation` of the query: unknown and repeated
   * fields are refused or warned of), the kind it says. An empty body gives undefined.
   *
   * @throws ApiError 400, 413, 415
   */
  readObject(request: ApiRequest, expected: ExpectedBody): Promise<KubeObject | undefined>;

  /** Reads YAML of any length without a long turn. @throws YamlError */
  readYaml(text: string, options: LongYamlOptions): Promise<Json>;

  /**
   * The first form of Accept that is served.
   *
   * @param watch `;stream=watch` is understood
   * @throws ApiError 406
   */
  answerForm(request: ApiRequest, options: { readonly watch: boolean; readonly table: boolean }): AnswerForm;

  /**
   * A long list, made part by part so that nobody waits for all of it.
   *
   * @returns undefined for a form that has no parts
   */
  longList(form: AnswerForm, list: PartedList): LongList | undefined;

  /** The response of a watch: events in frames of the form, flushed as they come, ended with the iteration. */
  watchResponse(
    request: ApiRequest,
    form: AnswerForm,
    events: AsyncIterable<readonly WireEvent[]>,
  ): ApiResponse;
}
