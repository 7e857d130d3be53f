/**
 * PATCH: three kinds that say what to change, and server-side apply, which says what shall be. The patch is laid on
 * what is there at the moment of the write, again when somebody else wrote in between.
 *
 * Modelled on apiserver's handlers/patch.go.
 */

import type { ApiResponse } from '../api/exchange.ts';
import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { apiVersionOf, type KubeObject } from '../api/meta.ts';
import {
  ApiError,
  badRequest,
  genericUnsupportedMediaType,
  conflict,
  hasReason,
  invalid,
  notFound,
  unsupportedMediaType,
} from '../api/status.ts';
import { finish, LONG_BYTES, WITHOUT_PAUSE, type Slices } from '../api/sliced.ts';
import { readJson } from '../codec/json-reader.ts';
import { asJson } from '../codec/object-codec.ts';
import { restoreError } from '../codec/restored.ts';
import { TypedError } from '../codec/typed.ts';
import { warningsOf, YamlError } from '../codec/yaml.ts';
import { resetsManagedFields } from '../patch/managed-fields.ts';
import { goText } from '../patch/patch-error.ts';
import { applyPatch, applyPatchInSlices } from '../patch/server-side-apply.ts';
import { inNamespace } from '../registry/before.ts';
import { settled } from '../registry/conversions.ts';
import type { Written } from '../registry/store-parts.ts';
import { answerMade, formOf } from './answer.ts';
import { BODY_BYTES_MAX } from './body.ts';
import { writeOptions, type WriteOptions } from './options.ts';
import type { PatchKind } from './patchers.ts';
import {
  callOf,
  checkName,
  fieldOptionsOf,
  kindOf,
  shownOf,
  slicesOf,
  storedOf,
  trackedInSlices,
  updateAdmission,
  type Scope,
  namespaceOf,
} from './scope.ts';

const KINDS: ReadonlyMap<string, PatchKind | 'apply'> = new Map([
  ['application/json-patch+json', 'json'],
  ['application/merge-patch+json', 'merge'],
  ['application/strategic-merge-patch+json', 'strategic'],
  ['application/apply-patch+yaml', 'apply'],
]);

/** How often a patch that names no version is laid on again after a conflict. */
const ATTEMPTS = 5;

export async function patch(scope: Scope): Promise<ApiResponse> {
  const { request } = scope;
  const kind = kindOfPatch(scope);
  formOf(scope);
  const options = writeOptions(request.query, 'PatchOptions', kind === 'apply');
  const body = await request.body(BODY_BYTES_MAX);
  request.context.audit?.requestPatch(body);
  const long = body.length > LONG_BYTES;
  const patcher =
    kind === 'apply' ? await applier(scope, body, options) : changer(scope, kind, body, options);
  const written = await settled(() => write(scope, options, patcher, kind === 'apply', long));
  return await settled(() => answerMade(scope, written.created ? 201 : 200, written));
}

/** @throws ApiError UnsupportedMediaType */
function kindOfPatch({ request, served }: Scope): PatchKind | 'apply' {
  const text = request.headers.get('content-type')?.[0] ?? '';
  const kind = KINDS.get(text.split(';', 1)[0].trim().toLowerCase());
  // A strategic merge needs Go's marks, which custom resources lack.
  const custom = served.version.schema !== undefined;
  if (kind !== undefined && !(custom && kind === 'strategic')) return kind;
  if (!custom) throw genericUnsupportedMediaType();
  throw unsupportedMediaType([...KINDS.keys()].filter((type) => KINDS.get(type) !== 'strategic'));
}

/**
 * What shall be, in the request's version, with its owners, out of what is there.
 *
 * @param live undefined where there is nothing
 * @param slices where what is there is long, or the patch
 */
type Patcher = (live: KubeObject | undefined, slices: Slices | undefined) => Promise<KubeObject>;

async function write(
  scope: Scope,
  options: WriteOptions,
  patcher: Patcher,
  creates: boolean,
  long: boolean,
): Promise<Written> {
  const { request, served, subresource } = scope;
  const { definition, store } = served;
  if (store === undefined) throw new Error(`${definition.resource} is not stored`);
  const { name } = request.info;
  const namespace = namespaceOf(scope);
  const { dryRun } = options;
  const { ready, validations } = updateAdmission(scope, options);
  const strategy = subresource?.backing.kind === 'update' ? subresource.backing.strategy : undefined;
  /** Whether the patch itself says which version it is meant for: then a conflict is the client's. */
  let versioned = false;
  const updated = async (existing: KubeObject | undefined, slices?: Slices): Promise<KubeObject> => {
    const live = shownOf(scope, existing);
    const next = inNamespace(await patcher(live, slices), namespace);
    if (live === undefined && (next.metadata.uid ?? '') !== '') {
      throw conflict(
        definition,
        name,
        `uid mismatch: the provided object specified uid ${next.metadata.uid}, and no existing object was found`,
      );
    }
    versioned = next.metadata.resourceVersion !== live?.metadata.resourceVersion;
    checkName(next, name, namespace);
    return await ready(existing, storedOf(scope, next, existing), slices);
  };
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await store.updateObject(callOf(scope, dryRun, slicesOf(scope), long), namespace, name, {
        updated,
        forceAllowCreate: creates && scope.view === undefined,
        ...(strategy === undefined ? {} : { strategy }),
        validations,
      });
    } catch (error) {
      // Owners' conflicts of an apply are no race: they name their causes.
      const race = hasReason(error, 'Conflict') && (error.status.details?.causes ?? []).length === 0;
      if (!race || versioned || attempt >= ATTEMPTS) throw error;
    }
  }
}

/** A patch that changes what is there. */
function changer(scope: Scope, kind: PatchKind, body: Buffer, options: WriteOptions): Patcher {
  const { request, served, parts, subresource } = scope;
  const { definition } = served;
  const strategy =
    subresource?.backing.kind === 'update' ? subresource.backing.strategy : definition.strategy;
  const warned = new Set<string>();
  return async (live, slices) => {
    if (live === undefined) throw notFound(definition, request.info.name);
    const strict: string[] = [];
    const input = {
      kind,
      body,
      current: asJson(live),
      schema: scope.view?.schema ?? served.schema,
      strict: (problem: string) => strict.push(problem),
    };
    const patching = parts.patchers.patchInSlices(input, slices ?? WITHOUT_PAUSE);
    const patched = slices === undefined ? finish(patching) : await slices.run(patching);
    // What a strategic merge makes is never text in the original, so that its patch is shown instead.
    const shown = (): string =>
      holdsSecrets(scope)
        ? REDACTED
        : kind === 'strategic'
          ? goText(readJson(body.toString('utf8')))
          : jsonText(kind === 'merge' ? asMerged(patched, readJson(body.toString('utf8'))) : patched);
    const refuse = (reason: string): ApiError => badPatch(shown(), reason);
    await slices?.turn();
    // A strategic merge is made into a Go struct as it is, which has words of its own for what does not fit.
    const restored = (): string | undefined =>
      kind === 'strategic' ? restoreError(scope.view?.schema ?? served.schema, patched) : undefined;
    const object = await typed(scope, patched, strict, { refuse, restored }, slices);
    settleStrict(
      strict,
      options,
      (text) => {
        if (!warned.has(text)) request.warn(text);
        warned.add(text);
      },
      refuse,
    );
    const fields = {
      ...fieldOptionsOf(scope, strategy.resetFields),
      reset: resetsManagedFields(patched),
    };
    return await trackedInSlices(scope, live, object, options.fieldManager, fields, slices);
  };
}

/** The members that a merge patch went through by name, as it writes them; what it left alone as it was. */
function asMerged(value: JsonObject, patch: Json | undefined): JsonObject {
  if (patch === undefined || !isJsonObject(patch)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .toSorted()
      .map((name) => {
        const member = value[name];
        return [name, isJsonObject(member) ? asMerged(member, patch[name]) : member];
      }),
  );
}

type Refuse = (reason: string) => ApiError;

/** The patched JSON as an object of the version. @throws ApiError Invalid */
async function typed(
  scope: Scope,
  patched: JsonObject,
  strict: string[],
  { refuse, restored }: { readonly refuse: Refuse; readonly restored: () => string | undefined },
  slices: Slices | undefined,
): Promise<KubeObject> {
  const { apiVersion, kind, metadata } = patched;
  if (metadata !== undefined && !isJsonObject(metadata)) {
    const unfit = restored();
    if (unfit !== undefined) throw refuse(unfit);
  }
  const wanted = scope.view ?? scope.served;
  if (apiVersion !== wanted.apiVersion || kind !== wanted.kind || !isJsonObject(metadata)) {
    const reason =
      typeof apiVersion !== 'string' || typeof kind !== 'string'
        ? `Object 'Kind' is missing in '${holdsSecrets(scope) ? REDACTED : jsonText(patched)}'`
        : `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)}`;
    throw refuse(reason);
  }
  // Patches are applied to maps without an order: what they do not know comes out by name.
  const unknown: string[] = [];
  try {
    const decoding = decoded(scope, patched, (path) => unknown.push(`unknown field "${path}"`), slices);
    const object = decoding instanceof Promise ? await decoding : decoding;
    strict.push(...unknown.toSorted());
    return object;
  } catch (error) {
    if (!(error instanceof TypedError)) throw error;
    throw refuse(restored() ?? error.message);
  }
}

/** JSON as an object of what the request sees, with defaults. @throws TypedError */
function decoded(
  { view, parts, served }: Scope,
  value: JsonObject,
  unknown: ((path: string) => void) | undefined,
  slices: Slices | undefined,
): KubeObject | Promise<KubeObject> {
  if (view !== undefined) return view.decode(value, unknown);
  if (slices === undefined) return parts.scheme.toObject(served, value, unknown);
  return slices.run(parts.scheme.toObjectInSlices(served, value, unknown, slices));
}

/** @throws ApiError Invalid under Strict */
function settleStrict(
  strict: readonly string[],
  { fieldValidation }: WriteOptions,
  warn: (text: string) => void,
  refuse: Refuse,
): void {
  if (strict.length === 0 || fieldValidation === 'Ignore') return;
  if (fieldValidation === 'Strict') throw refuse(`strict decoding error: ${strict.join(', ')}`);
  for (const text of strict) warn(text);
}

/** The original shows what came of the patch here too; the refusal goes into logs of audit that are to tell metadata alone. */
function holdsSecrets({ request: { info } }: Scope): boolean {
  return info.group === '' && info.resource === 'secrets';
}

const REDACTED = '<secret contents redacted>';

function badPatch(shown: string, reason: string): ApiError {
  return invalid({ group: '', kind: '' }, '', [
    { type: 'FieldValueInvalid', field: 'patch', body: `Invalid value: ${JSON.stringify(shown)}: ${reason}` },
  ]);
}

function jsonText(value: JsonObject): string {
  return JSON.stringify(value, (_name, member: unknown) =>
    typeof member === 'bigint' ? Number(member) : member,
  );
}

/** Server-side apply. */
async function applier(scope: Scope, body: Buffer, options: WriteOptions): Promise<Patcher> {
  const { request, served, subresource } = scope;
  const strategy =
    subresource?.backing.kind === 'update' ? subresource.backing.strategy : served.definition.strategy;
  const { configuration, strict } = await applied(scope, body);
  checkKind(scope, configuration);
  return async (live, slices) => {
    const fields = fieldOptionsOf(scope, strategy.resetFields);
    const before = live === undefined ? undefined : asJson(live);
    const { fieldManager, force } = options;
    const next =
      slices === undefined
        ? applyPatch(before, configuration, fieldManager, force, fields)
        : await slices.run(applyPatchInSlices(before, configuration, fieldManager, force, fields, slices));
    settleRepeated(strict, options, (text) => request.warn(text));
    if (next === before && live !== undefined) return live;
    await slices?.turn();
    return await decoded(scope, next, undefined, slices);
  };
}

/** Keys that are there twice are told once the configuration was applied; what no field knows is refused by the merge. */
function settleRepeated(
  strict: string,
  { fieldValidation }: WriteOptions,
  warn: (text: string) => void,
): void {
  if (strict === '' || fieldValidation === 'Ignore') return;
  if (fieldValidation === 'Strict') throw badRequest(`error strict decoding YAML: ${CONVERTING}${strict}`);
  for (const text of warningsOf(strict)) warn(text);
}

/** What sigs.k8s.io/yaml puts before go-yaml's words. */
const CONVERTING = 'error converting YAML to JSON: ';

/** The configuration as it was sent, and what is said of keys that are there twice. @throws ApiError BadRequest */
async function applied(
  scope: Scope,
  body: Buffer,
): Promise<{ readonly configuration: JsonObject; readonly strict: string }> {
  const { parts, request } = scope;
  let strict = '';
  let value: Json;
  try {
    value = await parts.wire.readYaml(body.toString('utf8'), {
      signal: request.signal,
      slices: () => slicesOf(scope),
      duplicates: (text) => (strict = text),
    });
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    throw badRequest(`error decoding YAML: ${CONVERTING}${error.message}`);
  }
  if (value === null) return { configuration: {}, strict };
  if (isJsonObject(value)) return { configuration: value, strict };
  const what = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;
  throw badRequest(
    `error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ${typeof value === 'object' && !Array.isArray(value) ? 'number' : what === 'bigint' ? 'number' : what} into Go value of type map[string]interface {}`,
  );
}

/** @throws ApiError BadRequest for another kind's configuration */
function checkKind(scope: Scope, configuration: JsonObject): void {
  const wanted = kindOf(scope);
  const { kind, apiVersion } = configuration;
  if (kind === wanted.kind && apiVersion === apiVersionOf(wanted)) return;
  const version = typeof apiVersion === 'string' ? apiVersion : '';
  const where = version.includes('/') ? version : `/${version}`;
  throw badRequest(`invalid object type: ${where}, Kind=${typeof kind === 'string' ? kind : ''}`);
}
