/**
 * The patches a server understands besides apply: from a body to the patch of its kind, with the checks and the
 * answers that apiserver has for each. What a patch does is patch/'s.
 *
 * Modelled on apiserver's handlers/patch.go. It reads a patch as a strict reader does under any fieldValidation, so
 * that a body of the wrong form is refused with one text.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { LOOK_EVERY, type Pace, type Sliced } from '../api/sliced.ts';
import { badRequest, invalid, requestEntityTooLarge, type ApiError } from '../api/status.ts';
import { describePath, JsonSyntaxError, readJsonInSlices } from '../codec/json-reader.ts';
import { jsonPatchInSlices, JsonPatchError, OPERATIONS_MAX } from '../patch/json-patch.ts';
import { mergePatchInSlices } from '../patch/merge-patch.ts';
import { unprocessable } from '../patch/patch-error.ts';
import { strategicMergePatchInSlices } from '../patch/strategic-merge.ts';
import type { PatchInput, Patchers } from './patchers.ts';

/** JSON patch, merge patch and strategic merge patch. */
export const PATCHERS: Patchers = {
  patchInSlices(input: PatchInput, pace: Pace): Sliced<JsonObject> {
    switch (input.kind) {
      case 'json':
        return jsonPatched(input, pace);
      case 'merge':
        return merged(input, pace);
      case 'strategic':
        return strategicallyMerged(input, pace);
    }
  },
};

function* jsonPatched({ body, current, strict }: PatchInput, pace: Pace): Sliced<JsonObject> {
  const prefix = 'error decoding patch: ';
  const operations = yield* read(body, pace, prefix, (path) =>
    strict(`json patch duplicate field "${path}"`),
  );
  yield* checkOperations(operations, pace, prefix, (path) => strict(`json patch unknown field "${path}"`));
  const list = Array.isArray(operations) ? (operations as readonly Json[]) : [];
  if (list.length > OPERATIONS_MAX) {
    throw requestEntityTooLarge(
      `The allowed maximum operations in a JSON patch is ${OPERATIONS_MAX}, got ${list.length}`,
    );
  }
  let patched: Json;
  try {
    patched = yield* jsonPatchInSlices(current, list, pace);
  } catch (error) {
    if (!(error instanceof JsonPatchError)) throw error;
    throw unprocessable(error.message);
  }
  if (!isJsonObject(patched)) throw noObject(patched);
  return patched;
}

function* merged({ body, current, strict }: PatchInput, pace: Pace): Sliced<JsonObject> {
  const prefix = 'error decoding patch: ';
  const patch = yield* read(body, pace, prefix, (path) => strict(`duplicate field "${path}"`));
  if (patch === null) throw badRequest('Invalid JSON Patch');
  return yield* mergePatchInSlices(current, objectOf(patch, prefix), pace);
}

function* strategicallyMerged({ body, current, schema, strict }: PatchInput, pace: Pace): Sliced<JsonObject> {
  const patch = yield* read(body, pace, '', (path) => strict(`duplicate field "${path}"`));
  if (patch === null) return current;
  return yield* strategicMergePatchInSlices(current, objectOf(patch, ''), schema, pace);
}

/** @throws ApiError BadRequest */
function* read(body: Buffer, pace: Pace, prefix: string, duplicate: (path: string) => void): Sliced<Json> {
  try {
    return yield* readJsonInSlices(body.toString('utf8'), { duplicate }, pace);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    throw badRequest(`${prefix}${error.message}`);
  }
}

function objectOf(patch: Json, prefix: string): JsonObject {
  if (isJsonObject(patch)) return patch;
  throw badRequest(
    `${prefix}json: cannot unmarshal ${wordOf(patch)} into Go value of type map[string]interface {}`,
  );
}

/** An operation's members that are text; the other one is its value. */
const TEXTS: ReadonlySet<string> = new Set(['op', 'path', 'from']);

/** Whether a JSON patch has the form of one; what its operations say is looked at when they are carried out. */
function* checkOperations(
  patch: Json,
  pace: Pace,
  prefix: string,
  unknown: (path: string) => void,
): Sliced<void> {
  if (patch === null) return;
  const refuse = (value: Json, where: string): ApiError =>
    badRequest(`${prefix}json: cannot unmarshal ${wordOf(value)} into Go ${where}`);
  if (!Array.isArray(patch)) throw refuse(patch, 'value of type []handlers.jsonPatchOp');
  for (let at = 0; at < patch.length; at += 1) {
    if (at % LOOK_EVERY === 0 && pace.due()) yield;
    const operation: Json = patch[at];
    if (operation === null) continue;
    if (!isJsonObject(operation)) throw refuse(operation, 'value of type handlers.jsonPatchOp');
    for (const [name, value] of Object.entries(operation)) {
      if (name === 'value') continue;
      if (!TEXTS.has(name)) unknown(describePath([at, name]));
      else if (value !== null && typeof value !== 'string') {
        throw refuse(value, `struct field jsonPatchOp.${name} of type string`);
      }
    }
  }
}

/** encoding/json's word for a value that does not fit. */
function wordOf(value: Json): string {
  if (typeof value === 'string') return 'string';
  if (typeof value === 'boolean') return 'bool';
  if (Array.isArray(value)) return 'array';
  return isJsonObject(value) ? 'object' : 'number';
}

/** A JSON patch may put a list in the object's place. */
function noObject(patched: Json): ApiError {
  const text = JSON.stringify(patched, (_name, value: unknown) =>
    typeof value === 'bigint' ? Number(value) : value,
  );
  const type = String.raw`struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }`;
  const body = `Invalid value: ${JSON.stringify(text)}: couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type ${type}`;
  return invalid({ group: '', kind: '' }, '', [{ type: 'FieldValueInvalid', field: 'patch', body }]);
}
