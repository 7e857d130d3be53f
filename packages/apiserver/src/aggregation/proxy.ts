/**
 * What becomes of a request for a group and version that another server answers for: handed on to it, or refused in the
 * words that clients know. It was authenticated, authorized and written down before; admission is the other server's.
 *
 * Modelled on kube-aggregator's apiserver/handler_proxy.go.
 */

import { toError, type Logger } from '@keelson/base';

import type { ApiRequest, ApiResponse, Handler } from '../api/exchange.ts';
import { plainText } from '../api/plain-text.ts';
import type { UserInfo } from '../api/user-info.ts';
import { BackendError } from '../outbound/backend.ts';
import type { RegisteredApis } from './registered-apis.ts';
import { BundleError, OWN_USER, type RemoteCaller } from './remote-caller.ts';
import type { RemoteApi } from './remote-api.ts';
import type { RemoteOpenApi } from './remote-open-api.ts';
import type { Place } from './service-resolver.ts';

export interface AggregationProxyOptions {
  readonly apis: RegisteredApis;
  readonly caller: RemoteCaller;
  readonly logger: Logger;
  /** Resolves when services are known: at once, but for the first moments after a start. */
  readonly ready: () => Promise<void>;
  readonly openApi: RemoteOpenApi;
}

/** Behind it stands `apis/G/V`. */
const DOCUMENTS = '/openapi/v3/';

export class AggregationProxy {
  private readonly options: AggregationProxyOptions;

  constructor(options: AggregationProxyOptions) {
    this.options = options;
  }

  /** @returns undefined for what this server answers itself */
  handlerOf(request: ApiRequest): Handler | undefined {
    const { apis } = this.options;
    if (!apis.anyRemote) return undefined;
    const documented = this.documentOf(request);
    if (documented !== undefined) return (asked) => this.serve(documented, asked, OWN_USER);
    const api = this.apiOf(request);
    return api && ((asked) => this.serve(api, asked, asked.context.user));
  }

  /** Whose document of OpenAPI's version 3 is asked for: who may see ours may see theirs. */
  private documentOf({ path, method, upgrade }: ApiRequest): RemoteApi | undefined {
    if (!path.startsWith(DOCUMENTS) || (method !== 'GET' && method !== 'HEAD') || upgrade !== undefined) {
      return undefined;
    }
    const { apis, openApi } = this.options;
    const key = path.slice(DOCUMENTS.length);
    if (!openApi.has(key)) return undefined;
    const [prefix, group = '', version = ''] = key.split('/');
    return prefix === 'api' ? apis.remote('', group) : apis.remote(group, version);
  }

  private apiOf({ path, info }: ApiRequest): RemoteApi | undefined {
    const { apis } = this.options;
    const [root, prefix, group = '', version = ''] = path.split('/', 4);
    if (root !== '') return undefined;
    if (prefix === 'api') return apis.remote('', 'v1');
    if (prefix !== 'apis' || group === '' || version === '') return undefined;
    // Who was allowed something in one group is not let into another by how a path is written.
    if (info.isResource && (info.group !== group || info.version !== version)) return undefined;
    return apis.remote(group, version);
  }

  private async serve(api: RemoteApi, request: ApiRequest, user: UserInfo | undefined): Promise<ApiResponse> {
    const { caller, logger, ready } = this.options;
    if (leadsElsewhere(request)) return plain(404, '404 page not found');
    if (!api.available) return plain(503, 'service unavailable');
    if (user === undefined) return plain(500, 'missing user');
    await ready();
    let place: Place;
    try {
      place = caller.place(api);
    } catch (error) {
      const { namespace, name } = api.service;
      logger.warn('an aggregated API cannot be reached', {
        service: `${namespace}/${name}`,
        error: toError(error).message,
      });
      return plain(503, 'service unavailable');
    }
    try {
      return await caller.handOn(api, place, request, user);
    } catch (error) {
      if (error instanceof BundleError) return plain(500, error.message);
      if (!(error instanceof BackendError)) throw error;
      return plain(503, wordsOf(error, request.upgrade !== undefined));
    }
  }
}

/**
 * Whether another server could take the path for another one than was allowed here: for one that reads a name's `.` and
 * `..` as steps, that leaves out empty segments, decodes twice, or knows other slashes and ends of a path. What stands
 * behind the subresource is nobody's name and goes as it came, but for steps.
 */
function leadsElsewhere({ path, info }: ApiRequest): boolean {
  const segments = path.replace(/^\/|\/+$/g, '').split('/');
  const named = segments.slice(0, segments.length - info.parts.slice(3).length);
  if (named.some((segment) => segment === '' || /[%/\\#?]/.test(segment))) return true;
  return segments.some((segment) =>
    segment.split(/%2F|%5C|\\/i).some((step) => /^(?:\.|%2E){1,2}$/i.test(step)),
  );
}

function wordsOf({ kind, message }: BackendError, upgrade: boolean): string {
  if (!upgrade) return `error trying to reach service: ${message}`;
  return kind === 'dial' ? `error dialing backend: ${message}` : message;
}

/** In one line. */
function plain(code: number, message: string): ApiResponse {
  return plainText(code, `${message}\n`);
}
