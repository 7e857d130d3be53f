/**
 * The body of a request as an object of the resource, or of its subresource, with defaults.
 */

import type { JsonObject } from '../api/json.ts';
import type { KubeObject } from '../api/meta.ts';
import type { Slices } from '../api/sliced.ts';
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
  /** Whether there was more of it than is worked on in one go. */
  readonly long: boolean;
}

/** @returns undefined for an empty body */
export async function readBody(scope: Scope, slices: Slices): Promise<Body | undefined> {
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
  let long = false;
  const expected = {
    kind: kindOf(scope),
    schema,
    ...(read === undefined ? {} : { read }),
    ...(read === undefined || version.readInSlices === undefined
      ? {}
      : { readInSlices: version.readInSlices.bind(version) }),
    raw: (value: JsonObject) => {
      reset = resetsManagedFields(value);
    },
    long: () => {
      long = true;
      return slices;
    },
  };
  const sent = await parts.wire.readObject(request, expected);
  if (sent === undefined) return undefined;
  const object = !own
    ? sent
    : long && version.defaultsInSlices !== undefined
      ? await slices.run(version.defaultsInSlices(sent, slices))
      : served.defaults(sent);
  request.context.audit?.requestObject(asJson(object));
  // Protobuf has no list that is empty and there.
  return { object, reset: reset ?? resetsManagedFields(asJson(sent)), long };
}
