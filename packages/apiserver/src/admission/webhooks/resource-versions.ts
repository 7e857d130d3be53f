/** The other forms of a resource's objects, for webhooks that ask for one of them. Types only. */

import type { JsonObject } from '../../api/json.ts';
import type { StructSchema } from '../../schema/type-schema.ts';
import type { GroupVersionKind, GroupVersionResource, KubeObject } from '../../api/meta.ts';

export interface Equivalent {
  readonly resource: GroupVersionResource;
  /** What is sent to it: the resource's own kind, or Scale. */
  readonly kind: GroupVersionKind;
}

export interface ResourceVersions {
  /** Other versions and names under which the same objects are served, the resource itself left out. */
  equivalents(resource: GroupVersionResource, subresource: string): readonly Equivalent[];
  /** An object as it is stored, or of a kind of its own (Binding), in a form. */
  show(object: KubeObject, form: Equivalent): KubeObject;
  /**
   * JSON in a form as the object it says: in Go's form, with defaults, as it is stored.
   *
   * @param unknown told of each member that the form does not have
   * @throws TypedError for a member of another type
   */
  take(value: JsonObject, form: Equivalent, unknown?: (path: string) => void): KubeObject;
  /** How objects of a form are merged; undefined where nobody knows it. */
  schema(form: Equivalent): StructSchema | undefined;
}
