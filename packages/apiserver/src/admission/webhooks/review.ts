/**
 * AdmissionReview, v1 and v1beta1: the question that is sent and what the answer says. Pure.
 *
 * Modelled on apiserver's admission/plugin/webhook/request.
 */

import { fieldsOf, listOf, textOf } from '../../api/fields.ts';
import type { Json, JsonObject } from '../../api/json.ts';
import type { GroupVersionKind, KubeObject } from '../../api/meta.ts';
import { asJson } from '../../codec/object-codec.ts';
import type { AdmissionAttributes } from '../admission.ts';
import type { Invocation } from './match.ts';
import type { Equivalent } from './resource-versions.ts';

const GROUP = 'admission.k8s.io';

export type ReviewVersion = 'v1' | 'v1beta1';

/** The first version that the webhook takes and we know; undefined where there is none. */
export function reviewVersionOf(versions: readonly string[]): ReviewVersion | undefined {
  return versions.find((version): version is ReviewVersion => version === 'v1' || version === 'v1beta1');
}

/**
 * The question.
 *
 * @param object in the form of the invocation; undefined: there is none
 */
export function reviewRequest(
  version: ReviewVersion,
  uid: string,
  invocation: Invocation,
  attributes: AdmissionAttributes,
  object: KubeObject | undefined,
  oldObject: KubeObject | undefined,
): JsonObject {
  const { dryRun = false, options = null, ...about } = admissionRequest(invocation, attributes);
  // Options of a connection have none, as those of a write.
  const connects = attributes.operation === 'CONNECT';
  return {
    kind: 'AdmissionReview',
    apiVersion: `${GROUP}/${version}`,
    request: {
      uid,
      ...about,
      object: object === undefined ? null : asJson(connects ? withoutMetadata(object) : object),
      oldObject: oldObject === undefined ? null : asJson(oldObject),
      dryRun,
      options,
    },
  };
}

/** What is asked about, its objects left out; what is empty is absent. */
export function admissionRequest(
  { kind, resource }: Equivalent,
  attributes: AdmissionAttributes,
): JsonObject {
  const { name, namespace, subresource, user } = attributes;
  const requestKind = attributes.kind;
  const requestResource = attributes.resource;
  return {
    kind: { group: kind.group, version: kind.version, kind: kind.kind },
    resource: { group: resource.group, version: resource.version, resource: resource.resource },
    ...(subresource === '' ? {} : { subResource: subresource }),
    requestKind: { group: requestKind.group, version: requestKind.version, kind: requestKind.kind },
    requestResource: {
      group: requestResource.group,
      version: requestResource.version,
      resource: requestResource.resource,
    },
    ...(subresource === '' ? {} : { requestSubResource: subresource }),
    ...(name === '' ? {} : { name }),
    ...(namespace === '' ? {} : { namespace }),
    operation: attributes.operation,
    userInfo: {
      ...(user === undefined || user.name === '' ? {} : { username: user.name }),
      ...(user === undefined || user.uid === '' ? {} : { uid: user.uid }),
      ...(user === undefined || user.groups.length === 0 ? {} : { groups: [...user.groups] }),
      ...(user === undefined || Object.keys(user.extra).length === 0
        ? {}
        : { extra: Object.fromEntries(Object.entries(user.extra).map(([key, all]) => [key, [...all]])) }),
    },
    dryRun: attributes.dryRun,
    options: attributes.options === undefined ? null : asJson(withoutMetadata(attributes.options)),
  };
}

function withoutMetadata({ metadata: _metadata, ...options }: KubeObject): KubeObject {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- options have no metadata on the wire
  return options as unknown as KubeObject;
}

/** The answer, checked. */
export interface Review {
  readonly allowed: boolean;
  /** Operations of a JSON patch as bytes; undefined: none. */
  readonly patch: Buffer | undefined;
  readonly patchType: string;
  readonly status: ReviewStatus;
  readonly auditAnnotations: readonly (readonly [key: string, value: string])[];
  readonly warnings: readonly string[];
}

export interface ReviewStatus {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  readonly details: Json | undefined;
}

/** An answer that is none; the text is the original's. */
export class ReviewError extends Error {
  override readonly name = 'ReviewError';
}

/** @throws ReviewError */
export function readReview(answer: unknown, version: ReviewVersion, uid: string, mutating: boolean): Review {
  const review = fieldsOf(answer);
  const response = fieldsOf(review['response']);
  if (review['response'] === undefined || review['response'] === null) {
    throw new ReviewError('webhook response was absent');
  }
  if (version === 'v1') checkEnvelope(review, response, uid);
  const patchText = textOf(response['patch']);
  const patchType = response['patchType'];
  if (version === 'v1') checkPatch(patchText, patchType, mutating);
  const { code, reason, message, details } = fieldsOf(response['status']);
  return {
    allowed: response['allowed'] === true,
    patch: mutating && patchText !== '' ? Buffer.from(patchText, 'base64') : undefined,
    // The older version did not look at the type.
    patchType: version === 'v1' ? textOf(patchType) : 'JSONPatch',
    status: {
      code: typeof code === 'number' ? code : 0,
      reason: textOf(reason),
      message: textOf(message),
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it was read as JSON
      details: details as Json | undefined,
    },
    auditAnnotations: Object.entries(fieldsOf(response['auditAnnotations'])).map(
      ([key, value]) => [key, textOf(value)] as const,
    ),
    warnings: listOf(response['warnings']).map(String),
  };
}

function checkEnvelope(
  review: Readonly<Record<string, unknown>>,
  response: Readonly<Record<string, unknown>>,
  uid: string,
): void {
  if (response['uid'] !== uid) {
    throw new ReviewError(
      `expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(textOf(response['uid']))}`,
    );
  }
  const wanted = { group: GROUP, version: 'v1', kind: 'AdmissionReview' };
  const apiVersion = textOf(review['apiVersion']);
  const kind = textOf(review['kind']);
  if (apiVersion === `${GROUP}/v1` && kind === wanted.kind) return;
  throw new ReviewError(
    `expected webhook response of ${kindText(wanted)}, got ${apiVersion || '/'}, Kind=${kind}`,
  );
}

function kindText({ group, version, kind }: GroupVersionKind): string {
  return `${group}/${version}, Kind=${kind}`;
}

function checkPatch(patch: string, patchType: unknown, mutating: boolean): void {
  const typed = patchType !== undefined && patchType !== null;
  if (!mutating) {
    if (patch !== '') throw new ReviewError('validating webhook may not return response.patch');
    if (typed) throw new ReviewError('validating webhook may not return response.patchType');
    return;
  }
  if (patch !== '' && !typed) {
    throw new ReviewError('webhook returned response.patch but not response.patchType');
  }
  if (patch === '' && typed) {
    throw new ReviewError('webhook returned response.patchType but not response.patch');
  }
  if (patchType === '') throw new ReviewError('webhook returned invalid response.patchType of ""');
}
