/**
 * The patches other than apply, as the patch handler needs them: from a body and the object in the request's
 * version to what the client wants it to be. patch/ has them; server.ts gives them here. Types only.
 */

import type { JsonObject } from '../api/json.ts';
import type { Pace, Sliced } from '../api/sliced.ts';
import type { StructSchema } from '../schema/type-schema.ts';

export type PatchKind = 'json' | 'merge' | 'strategic';

export interface PatchInput {
  readonly kind: PatchKind;
  /** The body as it came. */
  readonly body: Buffer;
  /** The object in the request's version. Not changed. */
  readonly current: JsonObject;
  readonly schema: StructSchema;
  /** Told each member of the patch that is repeated or unknown, in the words of a strict reader. */
  readonly strict: (problem: string) => void;
}

export interface Patchers {
  /** @throws ApiError BadRequest for a patch that is none, Invalid or a 500 for one that cannot be applied */
  patchInSlices(input: PatchInput, pace: Pace): Sliced<JsonObject>;
}
