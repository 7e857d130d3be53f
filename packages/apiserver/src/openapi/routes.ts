/**
 * What is served as paths with operations, in words that belong to neither version of OpenAPI: who may be called how,
 * with which parameters and body, and what answers. paths-v2.ts and paths-v3.ts put it into theirs. Pure.
 *
 * Modelled on apiserver's endpoints/installer (which routes a resource has, what they are called).
 */

import type { GroupVersion, GroupVersionKind } from '../api/meta.ts';
import { NAMED } from './definition-names.ts';
import {
  CONNECTIONS,
  DELETE_COLLECTION_PARAMETERS,
  DELETE_PARAMETERS,
  LIST_PARAMETERS,
  nameOfA,
  NAMESPACE,
  PATCH_PARAMETERS,
  PRETTY,
  SUBPATH,
  WRITE_PARAMETERS,
  type Connection,
  type Parameter,
} from './parameters.ts';

export type Method = 'delete' | 'get' | 'head' | 'options' | 'patch' | 'post' | 'put';

/** What a response holds: a definition's key, plain text, or nothing that is described. */
export interface ResponseRoute {
  readonly code: number;
  readonly content: string | undefined;
}

/** The key that stands for a bare string. */
export const BARE_STRING = 'string';

export interface Operation {
  readonly method: Method;
  readonly id: string;
  readonly description: string;
  readonly tag: string;
  /** x-kubernetes-action; undefined for documents. */
  readonly action?: string;
  readonly kind?: GroupVersionKind;
  readonly consumes: readonly string[];
  readonly produces: readonly string[];
  readonly parameters: readonly Parameter[];
  readonly body?: { readonly content: string; readonly required: boolean };
  readonly responses: readonly ResponseRoute[];
}

export interface PathRoute {
  readonly path: string;
  readonly operations: readonly Operation[];
}

/** A subresource, as far as documents tell of it. */
export interface SubresourceSource {
  readonly name: string;
  readonly verbs: readonly string[];
  readonly kind: GroupVersionKind;
  /** Key of the definition that is sent and answered. */
  readonly content: string;
}

/** A resource in one version, as far as documents tell of it. */
export interface ResourceSource extends GroupVersionKind {
  readonly resource: string;
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
  /** Keys of the definitions of an object and of a list. */
  readonly content: string;
  readonly listContent: string;
  /** A deletion answers the object. */
  readonly returnsDeletedObject: boolean;
  readonly subresources: readonly SubresourceSource[];
  /** A custom resource: no protobuf, no strategic merge patch. */
  readonly custom: boolean;
}

const STATUS = 'meta.v1.Status';
const WATCH_EVENT = 'meta.v1.WatchEvent';
const DELETE_OPTIONS = 'meta.v1.DeleteOptions';

const ANYTHING: readonly string[] = ['*/*'];
const DOCUMENTS: readonly string[] = [
  'application/json',
  'application/yaml',
  'application/vnd.kubernetes.protobuf',
];
const OBJECTS: readonly string[] = [...DOCUMENTS, 'application/cbor'];
const STREAMS: readonly string[] = [
  ...OBJECTS,
  'application/json;stream=watch',
  'application/vnd.kubernetes.protobuf;stream=watch',
  'application/cbor-seq',
];
const PATCHES: readonly string[] = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
  'application/apply-patch+cbor',
];
const CUSTOM_OBJECTS: readonly string[] = ['application/json', 'application/yaml'];
const CUSTOM_PATCHES: readonly string[] = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/apply-patch+yaml',
];

/** `/api/v1`, `/apis/apps/v1`. */
export function basePath({ group, version }: GroupVersion): string {
  return group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
}

/** `rbacAuthorization` for rbac.authorization.k8s.io, `core` for the core group. */
function groupTag(group: string): string {
  const words = group === '' ? ['core'] : group.replace(/\.k8s\.io$/, '').split('.');
  return words.map((word, at) => (at === 0 ? word : capital(word))).join('');
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/** What operations of a group version are called by: `AppsV1`. */
function idOf({ group, version }: GroupVersion): string {
  return capital(groupTag(group)) + capital(version);
}

function tagOf({ group, version }: GroupVersion): string {
  return `${groupTag(group)}_${version}`;
}

/** All paths of one resource. */
export function* resourceRoutes(source: ResourceSource): Generator<PathRoute> {
  const routes = new Routes(source);
  yield* routes.collection();
  yield* routes.object();
  for (const subresource of source.subresources) yield* routes.subresource(subresource);
  yield* routes.watches();
}

class Routes {
  private readonly source: ResourceSource;
  private readonly id: string;
  private readonly base: string;
  /** `Namespaced`, in the names of operations. */
  private readonly scoped: string;
  private readonly inScope: string;
  private readonly scope: readonly Parameter[];
  private readonly named: readonly Parameter[];
  private readonly objects: readonly string[];
  private readonly streams: readonly string[];

  constructor(source: ResourceSource) {
    this.source = source;
    const { resource, namespaced, kind, custom } = source;
    this.id = idOf(source);
    this.base = basePath(source);
    this.scoped = namespaced ? 'Namespaced' : '';
    this.inScope = namespaced ? `/namespaces/{namespace}/${resource}` : `/${resource}`;
    this.scope = namespaced ? [NAMESPACE, PRETTY] : [PRETTY];
    this.named = [nameOfA(kind), ...(namespaced ? [NAMESPACE] : [])];
    this.objects = custom ? CUSTOM_OBJECTS : OBJECTS;
    this.streams = custom ? CUSTOM_OBJECTS : STREAMS;
  }

  *collection(): Generator<PathRoute> {
    const { kind, namespaced, verbs, listContent, resource } = this.source;
    const operations: Operation[] = [];
    if (verbs.includes('deletecollection')) {
      operations.push(
        this.operation('delete', {
          id: `delete${this.id}Collection${this.scoped}${kind}`,
          description: `Delete all objects of kind ${kind} that the selectors match.`,
          action: 'deletecollection',
          parameters: [...this.scope, ...DELETE_COLLECTION_PARAMETERS],
          body: { content: DELETE_OPTIONS, required: false },
          responses: answers(STATUS, 200),
        }),
      );
    }
    const list = (id: string, scope: readonly Parameter[]): Operation =>
      this.operation('get', {
        id,
        description: verbs.includes('watch')
          ? `List or watch objects of kind ${kind}.`
          : `List objects of kind ${kind}.`,
        action: 'list',
        produces: this.streams,
        parameters: [...scope, ...LIST_PARAMETERS],
        responses: answers(listContent, 200),
      });
    if (verbs.includes('list')) {
      operations.push(list(`list${this.id}${this.scoped}${kind}`, this.scope));
      if (namespaced) {
        yield {
          path: `${this.base}/${resource}`,
          operations: [list(`list${this.id}${kind}ForAllNamespaces`, [PRETTY])],
        };
      }
    }
    if (verbs.includes('create')) {
      operations.push(
        this.operation('post', {
          id: `create${this.id}${this.scoped}${kind}`,
          description: `Create an object of kind ${kind}.`,
          action: 'post',
          parameters: [...this.scope, ...WRITE_PARAMETERS],
          body: { content: this.source.content, required: true },
          responses: answers(this.source.content, 200, 201, 202),
        }),
      );
    }
    if (operations.length > 0) yield { path: this.base + this.inScope, operations };
  }

  *object(): Generator<PathRoute> {
    const { kind, verbs, content, returnsDeletedObject } = this.source;
    const operations = this.objectOperations(verbs, `${this.scoped}${kind}`, `the ${kind}`, content);
    if (verbs.includes('delete')) {
      operations.push(
        this.operation('delete', {
          id: `delete${this.id}${this.scoped}${kind}`,
          description: `Delete the ${kind}.`,
          action: 'delete',
          parameters: [...this.named, PRETTY, ...DELETE_PARAMETERS],
          body: { content: DELETE_OPTIONS, required: false },
          responses: answers(returnsDeletedObject ? content : STATUS, 200, 202),
        }),
      );
    }
    if (operations.length > 0) yield { path: `${this.base}${this.inScope}/{name}`, operations };
  }

  *subresource(subresource: SubresourceSource): Generator<PathRoute> {
    const { kind, resource } = this.source;
    const path = `${this.base}${this.inScope}/{name}/${subresource.name}`;
    const suffix = `${this.scoped}${kind}${capital(subresource.name)}`;
    const connection = CONNECTIONS.get(`${resource}/${subresource.name}`);
    if (connection !== undefined) {
      yield* this.connection(path, suffix, subresource, connection);
      return;
    }
    const what = `${subresource.name} of the ${kind}`;
    const operations = this.objectOperations(
      subresource.verbs,
      suffix,
      what,
      subresource.content,
      subresource.kind,
    );
    if (subresource.verbs.includes('create')) {
      operations.push(
        this.operation('post', {
          id: `create${this.id}${suffix}`,
          description: `Create ${what}.`,
          action: 'post',
          kind: subresource.kind,
          parameters: [...this.named, PRETTY, ...WRITE_PARAMETERS],
          body: { content: subresource.content, required: true },
          responses: answers(subresource.content, 200, 201, 202),
        }),
      );
    }
    if (operations.length > 0) yield { path, operations };
  }

  *watches(): Generator<PathRoute> {
    const { kind, namespaced, verbs, resource, custom } = this.source;
    // The older form of watches, which custom resources never had.
    if (!verbs.includes('watch') || custom) return;
    const watch = (id: string, action: string, what: string, scope: readonly Parameter[]): Operation =>
      this.operation('get', {
        id: `watch${this.id}${id}`,
        description: `Watch ${what}. Deprecated: list with the parameter watch instead.`,
        action,
        produces: this.streams,
        parameters: [...scope, ...LIST_PARAMETERS],
        responses: answers(WATCH_EVENT, 200),
      });
    const base = `${this.base}/watch`;
    const all = `objects of kind ${kind}`;
    if (namespaced) {
      yield {
        path: `${base}/${resource}`,
        operations: [watch(`${kind}ListForAllNamespaces`, 'watchlist', all, [PRETTY])],
      };
    }
    yield {
      path: base + this.inScope,
      operations: [watch(`${this.scoped}${kind}List`, 'watchlist', all, this.scope)],
    };
    if (!verbs.includes('get')) return;
    yield {
      path: `${base}${this.inScope}/{name}`,
      operations: [watch(`${this.scoped}${kind}`, 'watch', `the ${kind}`, [...this.named, PRETTY])],
    };
  }

  /** Reading, replacing and patching an object or a part of it. */
  private objectOperations(
    verbs: readonly string[],
    suffix: string,
    what: string,
    content: string,
    kind?: GroupVersionKind,
  ): Operation[] {
    const scope = [...this.named, PRETTY];
    const own = kind === undefined ? {} : { kind };
    const operations: Operation[] = [];
    if (verbs.includes('get')) {
      operations.push(
        this.operation('get', {
          id: `read${this.id}${suffix}`,
          description: `Read ${what}.`,
          action: 'get',
          ...own,
          parameters: scope,
          responses: answers(content, 200),
        }),
      );
    }
    if (verbs.includes('patch')) {
      operations.push(
        this.operation('patch', {
          id: `patch${this.id}${suffix}`,
          description: `Change parts of ${what}.`,
          action: 'patch',
          ...own,
          consumes: this.source.custom ? CUSTOM_PATCHES : PATCHES,
          parameters: [...scope, ...PATCH_PARAMETERS],
          body: { content: NAMED.patch, required: true },
          responses: answers(content, 200, 201),
        }),
      );
    }
    if (verbs.includes('update')) {
      operations.push(
        this.operation('put', {
          id: `replace${this.id}${suffix}`,
          description: `Replace ${what}.`,
          action: 'put',
          ...own,
          parameters: [...scope, ...WRITE_PARAMETERS],
          body: { content, required: true },
          responses: answers(content, 200, 201),
        }),
      );
    }
    return operations;
  }

  private *connection(
    path: string,
    suffix: string,
    { name }: SubresourceSource,
    { kind, methods, parameters, open }: Connection,
  ): Generator<PathRoute> {
    const { group, version } = this.source;
    const of = (method: Method, subpath: boolean): Operation => {
      const call = method.toUpperCase();
      const what =
        kind === undefined
          ? { id: `read${this.id}${suffix}`, action: 'get', produces: ['text/plain', ...OBJECTS] }
          : {
              id: `connect${this.id}${capital(method)}${suffix}${subpath ? 'WithPath' : ''}`,
              action: 'connect',
              kind: { group, version, kind },
              produces: ANYTHING,
            };
      return this.operation(method, {
        ...what,
        description: `${call} to ${name} of the ${this.source.kind}.`,
        parameters: [...this.named, ...parameters, ...(subpath ? [SUBPATH] : [])],
        responses: answers(BARE_STRING, 200),
      });
    };
    yield { path, operations: methods.map((method) => of(method, false)) };
    if (open) yield { path: `${path}/{path}`, operations: methods.map((method) => of(method, true)) };
  }

  private operation(
    method: Method,
    rest: Pick<Operation, 'id' | 'description' | 'action' | 'parameters' | 'responses'> & Partial<Operation>,
  ): Operation {
    const { group, version, kind } = this.source;
    return {
      method,
      tag: tagOf(this.source),
      kind: { group, version, kind },
      consumes: ANYTHING,
      produces: this.objects,
      ...rest,
    };
  }
}

const UNAUTHORIZED: ResponseRoute = { code: 401, content: undefined };

function answers(content: string, ...codes: readonly number[]): readonly ResponseRoute[] {
  return [...codes.map((code) => ({ code, content })), UNAUTHORIZED];
}

/** A document at a path of its own. */
function document(
  path: string,
  id: string,
  tag: string,
  description: string,
  content: string,
  produces: readonly string[],
  consumes: readonly string[] = produces,
): PathRoute {
  const responses = answers(content, 200);
  return {
    path,
    operations: [{ method: 'get', id, description, tag, consumes, produces, parameters: [], responses }],
  };
}

/** Discovery of one group version: `/apis/apps/v1/`. */
export function versionRoute(version: GroupVersion): PathRoute {
  return document(
    `${basePath(version)}/`,
    `get${idOf(version)}APIResources`,
    tagOf(version),
    'List the resources of this group version.',
    'meta.v1.APIResourceList',
    OBJECTS,
  );
}

/** Discovery of one group: `/apis/apps/`. */
export function groupRoute(group: string): PathRoute {
  const tag = groupTag(group);
  const id = `get${capital(tag)}APIGroup`;
  return document(`/apis/${group}/`, id, tag, 'Tell about this group.', 'meta.v1.APIGroup', DOCUMENTS);
}

const JSON_ONLY: readonly string[] = ['application/json'];

/** Documents that every server has, by the path of their own document in version 3. */
export const SERVER_ROUTES: ReadonlyMap<string, PathRoute> = new Map([
  [
    'api',
    document(
      '/api/',
      'getCoreAPIVersions',
      'core',
      'List the versions of the core group.',
      'meta.v1.APIVersions',
      DOCUMENTS,
    ),
  ],
  [
    'apis',
    document(
      '/apis/',
      'getAPIVersions',
      'apis',
      'List the groups other than the core group.',
      'meta.v1.APIGroupList',
      DOCUMENTS,
    ),
  ],
  [
    'version',
    document(
      '/version/',
      'getCodeVersion',
      'version',
      'Tell which server this is.',
      NAMED.version,
      JSON_ONLY,
    ),
  ],
]);

/** Where clients find what they need to check tokens of service accounts. */
export const ISSUER_ROUTES: ReadonlyMap<string, PathRoute> = new Map([
  [
    '.well-known/openid-configuration',
    document(
      '/.well-known/openid-configuration/',
      'getServiceAccountIssuerOpenIDConfiguration',
      'WellKnown',
      'The OpenID discovery document of the issuer of service account tokens.',
      BARE_STRING,
      JSON_ONLY,
      [],
    ),
  ],
  [
    'openid/v1/jwks',
    document(
      '/openid/v1/jwks/',
      'getServiceAccountIssuerOpenIDKeyset',
      'openid',
      'The public keys that check tokens of service accounts.',
      BARE_STRING,
      ['application/jwk-set+json'],
      [],
    ),
  ],
]);
