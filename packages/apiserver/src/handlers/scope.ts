/**
 * What the handlers of one request share: the resource it names, the server's parts, who asks and when, and
 * how admission and field management are asked. Each verb has its own file.
 */

import type { AdmissionAttributes, Operation } from '../admission/admission.ts';
import type { AdmissionChain } from '../admission/chain.ts';
import type { ApiRequest } from '../api/exchange.ts';
import type { JsonObject } from '../api/json.ts';
import type { GroupVersionKind, KubeObject } from '../api/meta.ts';
import { badRequest, notFound, type ApiError } from '../api/status.ts';
import { Slices } from '../api/sliced.ts';
import { asJson, asObject } from '../codec/object-codec.ts';
import { formatTime } from '../codec/times.ts';
import { FieldSet } from '../patch/field-set.ts';
import { PathElement } from '../patch/field-path.ts';
import {
  managedFieldsAfterAdmission,
  managerName,
  withoutNewTimes,
  withoutNewTimesInSlices,
} from '../patch/managed-fields.ts';
import {
  trackCreationInSlices,
  trackUpdate,
  trackUpdateInSlices,
  type FieldOptions,
} from '../patch/server-side-apply.ts';
import { withoutRepeatedOwners } from '../registry/metadata.ts';
import type { StructSchema } from '../schema/type-schema.ts';
import type { Turns } from '../flowcontrol/turns.ts';
import { versionOf, type SubresourceDefinition } from '../registry/resource.ts';
import type { Scheme, Served } from '../registry/scheme.ts';
import type { StoreCall, Validations } from '../registry/store-parts.ts';
import type { FieldPathNames, StrategyContext } from '../registry/strategy.ts';
import { optionsObject, type WriteOptions } from './options.ts';
import type { Patchers } from './patchers.ts';
import type { Wire } from './wire.ts';

/** The parts of the server that handlers use. */
export interface HandlerParts {
  readonly scheme: Scheme;
  readonly wire: Wire;
  readonly admission: AdmissionChain;
  readonly patchers: Patchers;
  /** Of the event loop, for what is long. */
  readonly turns: Turns;
  /** Wall clock in ms. */
  nowMs(): number;
  /** Calls back after a while, unless cancelled. */
  setTimer(delayMs: number, task: () => void): { cancel(): void };
  monotonicMs(): number;
  uuid(): string;
  random(limit: number): number;
  /**
   * Asks authorization whether the request may create as well: an update or an apply of what is not there does.
   *
   * @throws ApiError Forbidden
   */
  mayCreate?(request: ApiRequest): Promise<void>;
  /** --min-request-timeout: a watch without a timeout of its own lasts once to twice as long. */
  readonly watchSecondsMin: number;
}

/** A request to a resource that is served. */
export interface Scope {
  readonly parts: HandlerParts;
  readonly request: ApiRequest;
  readonly served: Served;
  readonly subresource: SubresourceDefinition | undefined;
  /** The request sees the object as another kind: Scale. */
  readonly view?: View;
}

/** An object under another kind. */
export interface View {
  readonly schema: StructSchema;
  readonly apiVersion: string;
  readonly kind: string;
  /** @param object in the request's version */
  show(object: KubeObject): KubeObject;
  /** The object with what the view says laid on it. @throws ApiError Conflict, Invalid */
  take(view: KubeObject, object: KubeObject): KubeObject;
  /** @throws TypedError */
  decode(value: JsonObject, unknown?: (path: string) => void): KubeObject;
}

/** What is there, as the request sees it. */
export function shownOf(
  { parts, served, view }: Scope,
  existing: KubeObject | undefined,
): KubeObject | undefined {
  if (existing === undefined) return undefined;
  const object = parts.scheme.toServed(served, existing);
  return view === undefined ? object : view.show(object);
}

/** What the request made of it, in the version that is stored. */
export function storedOf(
  { parts, served, view }: Scope,
  next: KubeObject,
  existing: KubeObject | undefined,
): KubeObject {
  const { definition } = served;
  if (view === undefined) return parts.scheme.toStored(definition, next);
  if (existing === undefined) throw notFound(definition, next.metadata.name ?? '');
  return parts.scheme.toStored(definition, view.take(next, parts.scheme.toServed(served, existing)));
}

/** The namespace objects of the request lie in: a namespace's own path names it, but it lies in none. */
export function namespaceOf({ request, served }: Pick<Scope, 'request' | 'served'>): string {
  return served.definition.scope === 'Namespaced' ? request.info.namespace : '';
}

/** The kind of what the request sends and gets. */
export function kindOf({ served, subresource }: Scope): GroupVersionKind {
  return (
    subresource?.kind ?? {
      group: served.definition.group,
      version: served.version.version,
      kind: served.kind,
    }
  );
}

export function contextOf({ parts, request }: Scope, dryRun: boolean): StrategyContext {
  return {
    user: request.context.user,
    info: request.info,
    nowMs: parts.nowMs(),
    dryRun,
    uuid: () => parts.uuid(),
    random: (limit) => parts.random(limit),
  };
}

/** The slices of a request. */
export function slicesOf({ request, parts }: Scope): Slices {
  const { signal } = request;
  const { user, receivedMs } = request.context;
  return new Slices(parts, () => parts.turns.take(user?.name ?? '', receivedMs), signal);
}

/** @param long whether the object is too long for steps in one go */
export function callOf(scope: Scope, dryRun: boolean, slices = slicesOf(scope), long = false): StoreCall {
  const { request } = scope;
  const { signal } = request;
  return {
    context: contextOf(scope, dryRun),
    warn: (text) => request.warn(text),
    signal,
    slices,
    long,
  };
}

/** What admission is asked about this request. */
export function attributesOf(
  scope: Scope,
  operation: Operation,
  object: KubeObject | undefined,
  oldObject: KubeObject | undefined,
  options: KubeObject | undefined,
  dryRun: boolean,
): AdmissionAttributes {
  const { request, served, parts } = scope;
  const { context, info } = request;
  // A selector of one name makes a collection no object.
  const told = info.verb === 'deletecollection' ? '' : info.name;
  const name = told === '' ? (object?.metadata.name ?? '') : told;
  // A namespace lies in itself, also when it is made.
  const isNamespace = info.group === '' && info.resource === 'namespaces';
  return {
    operation,
    kind: kindOf(scope),
    resource: { group: info.group, version: info.version, resource: info.resource },
    subresource: info.subresource,
    namespace: info.namespace === '' && isNamespace ? name : info.namespace,
    name,
    object,
    oldObject,
    options,
    dryRun,
    user: context.user,
    info,
    signal: request.signal,
    convert: (value) => parts.scheme.toServed(served, value),
    warn: (text) => request.warn(text),
    annotate: (key, value) => {
      if (!context.auditAnnotations.has(key)) context.auditAnnotations.set(key, value);
    },
  };
}

/** How owners of fields are told apart in this request's version. */
export function fieldOptionsOf(
  scope: Scope,
  resetFields: readonly FieldPathNames[] | undefined,
): FieldOptions {
  const { parts, served, subresource, view } = scope;
  const { definition } = served;
  const reset =
    resetFields === undefined || resetFields.length === 0
      ? undefined
      : FieldSet.of(...resetFields.map((path) => path.map((name) => PathElement.field(name))));
  const versionNamed = (apiVersion: string): ReturnType<typeof versionOf> => {
    const slash = apiVersion.indexOf('/');
    if (apiVersion.slice(0, Math.max(0, slash)) !== definition.group) return undefined;
    return versionOf(definition, apiVersion.slice(slash + 1));
  };
  return {
    apiVersion: view?.apiVersion ?? served.apiVersion,
    kind: view?.kind ?? served.kind,
    subresource: subresource?.name ?? '',
    now: formatTime(Math.floor(parts.nowMs() / 1000)),
    versions: {
      typeOf: (apiVersion) => {
        if (view !== undefined) return apiVersion === view.apiVersion ? view.schema : undefined;
        const version = versionNamed(apiVersion);
        return version && (version.schema ?? parts.scheme.types.struct(version.typeName));
      },
      convert: (object, apiVersion) => {
        if (view !== undefined) return apiVersion === view.apiVersion ? object : undefined;
        const version = versionNamed(apiVersion);
        if (version === undefined) return undefined;
        const to = { group: definition.group, version: version.version };
        return asJson(parts.scheme.convert(definition, asObject(object), to));
      },
      resetFields: () => reset,
    },
    // An object that cannot be tracked is stored without owners; that is all that is to be done.
    failed: () => undefined,
  };
}

/** The object with its owners brought up to date for a write that is no apply. Both in the request's version. */
function tracked(
  { request }: Scope,
  live: KubeObject | undefined,
  next: KubeObject,
  fieldManager: string,
  options: FieldOptions,
): KubeObject {
  const agent = request.headers.get('user-agent')?.[0] ?? '';
  const before = live === undefined ? undefined : asJson(live);
  return asObject(trackUpdate(before, asJson(next), managerName(fieldManager, agent), options));
}

/** The same, in slices where there are some. */
export function trackedInSlices(
  scope: Scope,
  live: KubeObject | undefined,
  next: KubeObject,
  fieldManager: string,
  options: FieldOptions,
  slices: Slices | undefined,
): KubeObject | Promise<KubeObject> {
  if (slices === undefined) return tracked(scope, live, next, fieldManager, options);
  const agent = scope.request.headers.get('user-agent')?.[0] ?? '';
  const manager = managerName(fieldManager, agent);
  const work =
    live === undefined
      ? trackCreationInSlices(asJson(next), manager, options, slices)
      : trackUpdateInSlices(asJson(live), asJson(next), manager, options, slices);
  const owned = slices.run(work);
  return owned instanceof Promise ? owned.then(asObject) : asObject(owned);
}

/** Mutating admission, and what has to be put right after it. Objects in the storage version. */
export async function mutated(
  scope: Scope,
  operation: 'CREATE' | 'UPDATE',
  object: KubeObject,
  old: KubeObject | undefined,
  options: KubeObject,
  dryRun: boolean,
): Promise<KubeObject> {
  const { admission } = scope.parts;
  const before = uniqueOwners(scope, object, false);
  if (!admission.handles(operation)) return before;
  const seen = admittedOf(scope, before);
  const result = await admission.mutate(
    attributesOf(scope, operation, seen, old && admittedOf(scope, old), options, dryRun),
  );
  if (result === undefined || result === seen) return before;
  const after = scope.view === undefined ? result : storedOf(scope, result, old);
  const { object: sound, warning } = managedFieldsAfterAdmission(asJson(before), asJson(after));
  if (warning !== undefined) scope.request.warn(warning);
  return uniqueOwners(scope, asObject(sound), true);
}

/** What plugins are shown: the object as it is stored, or the view of it that the request is about. */
function admittedOf(scope: Scope, object: KubeObject): KubeObject {
  return scope.view === undefined ? object : (shownOf(scope, object) ?? object);
}

/** Validating admission. Objects in the storage version. */
export async function validated(
  scope: Scope,
  operation: Operation,
  object: KubeObject | undefined,
  old: KubeObject | undefined,
  options: KubeObject | undefined,
  dryRun: boolean,
): Promise<void> {
  const { admission } = scope.parts;
  if (!admission.handles(operation)) return;
  const attributes = attributesOf(
    scope,
    operation,
    object && admittedOf(scope, object),
    old && admittedOf(scope, old),
    options,
    dryRun,
  );
  // A deletion changes nothing, so all plugins are asked at once: those that only mutate refuse some as well.
  if (operation === 'DELETE') await admission.mutate(attributes);
  await admission.validate(attributes);
}

/** Admission of an update, which may make the object. Objects in the storage version. */
export interface UpdateAdmission {
  /** What is to be written after mutating admission: what was there where nothing but times of owners changed. */
  readonly ready: (
    existing: KubeObject | undefined,
    next: KubeObject,
    slices?: Slices,
  ) => Promise<KubeObject>;
  readonly validations: Validations;
}

export function updateAdmission(scope: Scope, options: WriteOptions): UpdateAdmission {
  const { dryRun } = options;
  return {
    async ready(existing, next, slices) {
      const operation = existing === undefined ? 'CREATE' : 'UPDATE';
      const seen = optionsObject(options, operation);
      const object = await mutated(scope, operation, next, existing, seen, dryRun);
      if (existing === undefined) return object;
      const [before, after] = [asJson(existing), asJson(object)];
      return asObject(
        slices === undefined
          ? withoutNewTimes(before, after)
          : await slices.run(withoutNewTimesInSlices(before, after, slices)),
      );
    },
    validations: {
      async create(value) {
        await scope.parts.mayCreate?.(scope.request);
        await validated(scope, 'CREATE', value, undefined, optionsObject(options, 'CREATE'), dryRun);
      },
      update: (value, old) =>
        validated(scope, 'UPDATE', value, old, optionsObject(options, 'UPDATE'), dryRun),
    },
  };
}

/** Admission of a request that opens a connection: exec, attach, portforward, proxy. */
export async function admitConnection(scope: Scope, options: KubeObject): Promise<KubeObject> {
  const { admission } = scope.parts;
  if (!admission.handles('CONNECT')) return options;
  const seen = (object: KubeObject): AdmissionAttributes =>
    attributesOf(scope, 'CONNECT', object, undefined, undefined, false);
  const admitted = (await admission.mutate(seen(options))) ?? options;
  await admission.validate(seen(admitted));
  return admitted;
}

function uniqueOwners({ request }: Scope, object: KubeObject, afterMutation: boolean): KubeObject {
  const { object: unique, repeated } = withoutRepeatedOwners(object);
  if (repeated.length > 0) {
    const when = afterMutation ? 'after mutating admission happens' : '';
    request.warn(
      `.metadata.ownerReferences contains duplicate entries${when === '' ? '' : ` ${when}`}; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: ${repeated.join(', ')}`,
    );
  }
  return unique;
}

/** @throws ApiError BadRequest when the body is about another object than the URL */
export function checkName(object: KubeObject, name: string, namespace: string): void {
  const { metadata } = object;
  const own = metadata.name ?? '';
  if (own === '') {
    throw badRequest(
      `the name of the object (${name} based on URL) was undeterminable: name must be provided`,
    );
  }
  if (own !== name) throw mismatch('name', own, name, 'URL');
  const space = metadata.namespace ?? '';
  if (namespace !== '' && space !== '' && space !== namespace) {
    throw mismatch('namespace', space, namespace, 'request');
  }
}

function mismatch(what: string, own: string, asked: string, where: string): ApiError {
  return badRequest(
    `the ${what} of the object (${own}) does not match the ${what} on the ${where} (${asked})`,
  );
}

/** The body is missing where one is needed. */
export function bodyMissing({ kind }: GroupVersionKind): ApiError {
  return badRequest(
    `the object provided is unrecognized (must be of type ${kind}): couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)`,
  );
}
