/**
 * Which form an answer takes: media type, another kind it is asked as, line breaks for people. The header's
 * grammar is api/accept.ts; here is what Kubernetes serves, and its refusals.
 */

import { negotiate, type Accepted } from '../api/accept.ts';
import type { ApiRequest, Headers } from '../api/exchange.ts';
import type { GroupVersionKind } from '../api/meta.ts';
import { genericNotAcceptable, notAcceptable, unsupportedMediaType } from '../api/status.ts';
import type { AnswerForm, MediaForm } from '../handlers/wire.ts';

export const JSON_TYPE = 'application/json';
export const YAML_TYPE = 'application/yaml';
export const PROTOBUF_TYPE = 'application/vnd.kubernetes.protobuf';

const FORMS: Readonly<Record<string, MediaForm>> = {
  [JSON_TYPE]: 'json',
  [YAML_TYPE]: 'yaml',
  [PROTOBUF_TYPE]: 'protobuf',
};
const ALL_TYPES: readonly string[] = [JSON_TYPE, YAML_TYPE, PROTOBUF_TYPE];
const TEXT_TYPES: readonly string[] = [JSON_TYPE, YAML_TYPE];
/** YAML has no frames. */
const STREAMS: readonly string[] = [JSON_TYPE, PROTOBUF_TYPE].map((type) => `${type};stream=watch`);

export interface Offer {
  /** The answer is a watch: only what has frames. */
  readonly watch: boolean;
  /** The endpoint can answer a table. */
  readonly table: boolean;
  /** Metadata alone may be asked for; where a table may be as well, unless said. */
  readonly metadata?: boolean;
  /** The kind has a protobuf form: true unless said. Metadata alone always has one. */
  readonly protobuf?: boolean;
  /** The endpoint answers lists, and watches of them. */
  readonly list?: boolean;
}

/**
 * The best form that is served.
 *
 * @throws ApiError NotAcceptable, naming what is
 */
export function answerForm(request: Pick<ApiRequest, 'headers' | 'query'>, offer: Offer): AnswerForm {
  const accept = header(request.headers, 'accept');
  const accepted = negotiate(accept, ALL_TYPES, (kind, type) => serves(kind, type, offer));
  if (accepted === undefined || (accepted.mediaType === YAML_TYPE && offer.watch)) {
    // Kubernetes' own resources are looked at by type first, and refused in other words.
    const own = offer.protobuf ?? true;
    if (own && offer.list !== undefined && negotiate(accept, ALL_TYPES, () => true) === undefined) {
      throw genericNotAcceptable(offer.list ? [...ALL_TYPES, ...STREAMS] : ALL_TYPES);
    }
    throw notAcceptable(offer.watch ? STREAMS : ALL_TYPES);
  }
  return {
    media: FORMS[accepted.mediaType],
    as: kindOf(accepted),
    version: accepted.as?.version ?? '',
    pretty: accepted.pretty || isForPeople(request),
  };
}

function serves(as: GroupVersionKind | undefined, type: string, offer: Offer): boolean {
  if (as === undefined) return type !== PROTOBUF_TYPE || (offer.protobuf ?? true);
  const { group, version, kind } = as;
  if (group !== 'meta.k8s.io' || (version !== 'v1' && version !== 'v1beta1')) return false;
  if (kind === 'Table') return offer.table && type !== PROTOBUF_TYPE;
  if (kind === 'PartialObjectMetadata' || kind === 'PartialObjectMetadataList') {
    return offer.metadata ?? offer.table;
  }
  return false;
}

function kindOf({ as }: Accepted): AnswerForm['as'] {
  switch (as?.kind) {
    case 'Table':
    case 'PartialObjectMetadata':
    case 'PartialObjectMetadataList':
      return as.kind;
    default:
      return 'object';
  }
}

/** Whether JSON is indented: the query says it, or the client is a browser or a tool people type. */
export function isForPeople({ headers, query }: Pick<ApiRequest, 'headers' | 'query'>): boolean {
  const pretty = query.get('pretty');
  if (pretty !== null && pretty !== '') return /^(1|t|T|true|TRUE|True)$/.test(pretty);
  const agent = header(headers, 'user-agent') ?? '';
  return agent.startsWith('curl') || agent.startsWith('Wget') || agent.startsWith('Mozilla/5.0');
}

/**
 * The form a body is in.
 *
 * @throws ApiError UnsupportedMediaType, naming what is read
 */
export function bodyForm(headers: Headers, protobuf = true): MediaForm {
  const types = protobuf ? ALL_TYPES : TEXT_TYPES;
  const text = header(headers, 'content-type') ?? '';
  if (text === '') return 'json';
  const type = text.split(';', 1)[0].trim().toLowerCase();
  if (!types.includes(type)) throw unsupportedMediaType(types);
  return FORMS[type];
}

/** All values of a header as one; undefined without the header. */
export function header(headers: Headers, name: string): string | undefined {
  const values = headers.get(name);
  if (values === undefined) return undefined;
  return values.length === 1 ? values[0] : values.join(', ');
}
