/**
 * From a request to the handler of its verb: which resource, in which version, whether it offers that. Says 404
 * for what is not served and 405 for what it does not do; everything else is the verbs' own files.
 */

import type { ApiRequest, ApiResponse, Handler } from '../api/exchange.ts';
import type { KubeObject } from '../api/meta.ts';
import {
  badRequest,
  genericMethodNotAllowed,
  genericNotFound,
  methodNotSupported,
  notFound,
} from '../api/status.ts';
import { inNamespace } from '../registry/before.ts';
import type { ResourceCall, SubresourceDefinition, Verb } from '../registry/resource.ts';
import type { Served } from '../registry/scheme.ts';
import { answer, formOf } from './answer.ts';
import { readBody } from './body.ts';
import { create } from './create.ts';
import { deleteCollection, deleteOne } from './delete.ts';
import { get } from './get.ts';
import { list, listObject } from './list.ts';
import { optionsObject, writeOptions } from './options.ts';
import { patch } from './patch.ts';
import { pathNotFound } from './paths.ts';
import { scale } from './scale.ts';
import {
  admitConnection,
  bodyMissing,
  contextOf,
  kindOf,
  mutated,
  slicesOf,
  validated,
  type HandlerParts,
  type Scope,
  namespaceOf,
} from './scope.ts';
import { update } from './update.ts';
import { watch } from './watch.ts';

type VerbHandler = (scope: Scope) => Promise<ApiResponse>;

const HANDLERS: Readonly<Record<Verb, VerbHandler>> = {
  get,
  list,
  watch,
  create,
  update,
  patch,
  delete: deleteOne,
  deletecollection: deleteCollection,
};

/** Verbs of one object: a name is in the URL. */
const NAMED: ReadonlySet<string> = new Set(['get', 'update', 'patch', 'delete']);
/** Verbs that need a namespace in the URL, where the resource has them. */
const IN_NAMESPACE: ReadonlySet<string> = new Set(['create', 'deletecollection']);

/** The end of the pipeline for requests to resources. */
export function resourceHandler(parts: HandlerParts): Handler {
  return async (request) => {
    const { group, version, resource } = request.info;
    const served = parts.scheme.find(group, version, resource);
    if (served === undefined || !fits(request, served)) return nowhere(parts, request);
    const { deprecationWarning } = served.version;
    if (deprecationWarning !== undefined) {
      request.warn(deprecationWarning);
      request.context.auditAnnotations.set('k8s.io/deprecated', 'true');
    }
    return await route({ parts, request, served, subresource: undefined });
  };
}

/** No such resource. Where the group is known it is a Status that says so. */
function nowhere({ scheme }: HandlerParts, { info: { group } }: ApiRequest): ApiResponse {
  if (group === '' || scheme.hasGroup(group)) throw genericNotFound();
  return pathNotFound();
}

/** Whether the path has a namespace only where there are some. */
function fits({ info }: ApiRequest, { definition }: Served): boolean {
  if (definition.scope === 'Namespaced')
    return info.namespace !== '' || !NAMED.has(info.verb) || info.subresource === '';
  // A namespace's own path names it twice: as namespace and as object.
  return info.namespace === '' || (definition.resource === 'namespaces' && info.namespace === info.name);
}

async function route(scope: Scope): Promise<ApiResponse> {
  const { request, served } = scope;
  const { definition } = served;
  const { info } = request;
  const connects = definition.subresources.some(
    ({ name, backing }) => name === info.subresource && backing.kind === 'connect',
  );
  if (request.method === 'HEAD' && !connects) throw genericMethodNotAllowed();
  // An empty segment names nothing: the object before it is not what was asked for.
  if (info.subresource === '' && info.parts.length > 2) throw genericNotFound();
  if (info.subresource !== '') {
    const subresource = definition.subresources.find(
      ({ name, versions }) =>
        name === info.subresource && (versions === undefined || versions.includes(served.version.version)),
    );
    if (subresource === undefined) {
      const isCustom = served.version.schema !== undefined;
      throw isCustom ? notFound(definition, info.name) : genericNotFound();
    }
    return await routeSubresource({ ...scope, subresource }, subresource);
  }
  const verb = definition.verbs.find((candidate) => candidate === info.verb);
  const elsewhere =
    (definition.scope === 'Namespaced' &&
      info.namespace === '' &&
      (IN_NAMESPACE.has(info.verb) || NAMED.has(info.verb))) ||
    (NAMED.has(info.verb) && info.name === '') ||
    (info.verb === 'create' && info.parts.length > 1);
  if (verb === undefined || elsewhere) {
    throw isPath(scope) ? genericMethodNotAllowed() : genericNotFound();
  }
  if (definition.backing.kind === 'virtual') return await virtual(scope, verb);
  return await HANDLERS[verb](scope);
}

/** Whether the path leads anywhere: some verb of the resource has its form. */
function isPath({ request: { info }, served: { definition } }: Scope): boolean {
  const bare = definition.scope === 'Namespaced' && info.namespace === '';
  if (info.parts.length > 1) return !bare && definition.verbs.some((verb) => NAMED.has(verb));
  return bare ? definition.verbs.includes('list') : definition.verbs.some((verb) => !NAMED.has(verb));
}

/** A resource that answers without keeping anything. */
async function virtual(scope: Scope, verb: Verb): Promise<ApiResponse> {
  const { served, request } = scope;
  const { backing } = served.definition;
  if (backing.kind === 'virtual') {
    if (verb === 'create' && backing.create !== undefined) {
      formOf(scope);
      const { call } = await createCall(scope);
      return answer(scope, 201, await backing.create(call));
    }
    const call = callOf(scope, undefined, false);
    if (verb === 'get' && backing.get !== undefined) {
      return answer(scope, 200, await backing.get(request.info.name, call));
    }
    if (verb === 'list' && backing.list !== undefined) {
      const objects = await backing.list(call);
      return {
        kind: 'object',
        code: 200,
        object: listObject(scope, formOf(scope), objects, {}),
      };
    }
  }
  throw methodNotSupported(served.definition, verb);
}

async function routeSubresource(scope: Scope, subresource: SubresourceDefinition): Promise<ApiResponse> {
  const { request } = scope;
  const { backing } = subresource;
  const { verb } = request.info;
  if (request.info.name === '') return pathNotFound();
  if (backing.kind === 'connect') {
    checkConnection(scope, subresource);
    const asked = backing.options(request.query, request.info);
    const options = backing.read === true ? asked : await admitConnection(scope, asked);
    return await backing.connect(callOf(scope, options, false));
  }
  if (request.info.parts.length > 3) throw genericNotFound();
  if (!subresource.verbs.some((candidate) => candidate === verb)) {
    throw genericMethodNotAllowed();
  }
  switch (backing.kind) {
    case 'update':
      return await (verb === 'get' ? get(scope) : verb === 'patch' ? patch(scope) : update(scope));
    case 'scale':
      return await scale(scope, backing.fields);
    case 'create': {
      formOf(scope);
      const { call } = await createCall(scope, (sent) => backing.complete?.(sent));
      const made = await backing.create(call);
      return isResponse(made) ? made : answer(scope, 201, made);
    }
  }
}

/** @throws ApiError for a path below what has none, a method that it does not take, and for what cannot be tried */
function checkConnection({ request }: Scope, { backing, verbs }: SubresourceDefinition): void {
  const { info, query } = request;
  const open = backing.kind === 'connect' && backing.open === true;
  if (info.parts.length > 3 && !open) throw genericNotFound();
  // OPTIONS has no verb of its own.
  const taken = verbs.some((verb) => verb === info.verb) || (open && request.method === 'OPTIONS');
  if (!taken) throw genericMethodNotAllowed();
  if (query.getAll('dryRun').some((value) => value !== '')) throw badRequest('dryRun is not supported');
}

function isResponse(made: KubeObject | ApiResponse): made is ApiResponse {
  return 'code' in made && !('apiVersion' in made);
}

/**
 * The call of what is sent an object and answers one; admission has seen it.
 *
 * @param complete the object as validating admission is to see it; undefined: as it is
 */
async function createCall(
  scope: Scope,
  complete: (sent: ResourceCall) => Promise<KubeObject> | undefined = () => undefined,
): Promise<{ readonly call: ResourceCall }> {
  const options = writeOptions(scope.request.query, 'CreateOptions');
  const body = await readBody(scope, slicesOf(scope));
  if (body === undefined) throw bodyMissing(kindOf(scope));
  const { dryRun } = options;
  const seen = optionsObject(options, 'CREATE');
  const sent = inNamespace(body.object, namespaceOf(scope));
  const changed = await mutated(scope, 'CREATE', sent, undefined, seen, dryRun);
  const object = (await complete(callOf(scope, changed, dryRun))) ?? changed;
  await validated(scope, 'CREATE', object, undefined, seen, dryRun);
  return { call: callOf(scope, object, dryRun) };
}

function callOf(scope: Scope, body: KubeObject | undefined, dryRun: boolean): ResourceCall {
  const { request, parts } = scope;
  const { name } = request.info;
  return {
    namespace: namespaceOf(scope),
    name,
    body,
    info: request.info,
    context: contextOf(scope, dryRun),
    request,
    stores: parts.scheme,
  };
}
