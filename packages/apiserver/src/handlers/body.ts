/**
 * The body of a request as an object of the resource, or of its subresource, with defaults.
 */

import type { KubeObject } from '../api/meta.ts';
import { asJson } from '../codec/object-codec.ts';
import { resetsManagedFields } from '../patch/managed-fields.ts';
import { kindOf, type Scope } from './scope.ts';

/** Largest body of any request, as the original. */
export const BODY_BYTES_MAX = 3 * 1024 * 1024;

export interface Body {
  /** In the request's version, with defaults. */
  readonly object: KubeObject;
  /** The client wants all owners of fields to be forgotten. */
  readonly reset: boolean;
}

/** @returns undefined for an empty body */
export async function readBody(scope: Scope): Promise<Body | undefined> {
  const { parts, request, served, subresource } = scope;
  const own = subresource?.kind === undefined;
  const typeName = subresource?.typeName;
  const { version } = served;
  const read = own ? version.read?.bind(version) : undefined;
  const schema = own
    ? read === undefined
      ? served.schema
      : undefined
    : typeName === undefined
      ? undefined
      : parts.scheme.types.struct(typeName);
  let reset: boolean | undefined;
  const sent = await parts.wire.readObject(request, {
    kind: kindOf(scope),
    schema,
    ...(read === undefined ? {} : { read }),
    raw: (value) => {
      reset = resetsManagedFields(value);
    },
  });
  if (sent === undefined) return undefined;
  const object = own ? served.defaults(sent) : sent;
  request.context.audit?.requestObject(asJson(object));
  // Protobuf has no list that is empty and there.
  return { object, reset: reset ?? resetsManagedFields(asJson(sent)) };
}
