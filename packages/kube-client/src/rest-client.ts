/**
 * The verbs of the API for any resource, over a transport: paths, queries, deadlines, errors, and the one kind of
 * repetition that is safe: a request the server did not begin (429) comes again when the server says, a read also after
 * a 5xx that says when. Nothing else is sent twice; after a TRANSPORT error of a write its fate is unknown.
 *
 * Modelled on client-go's rest and dynamic packages.
 */

import { pause, type Clock } from '@keelson/base';

import { KubeError, statusError } from './kube-error.ts';
import type { Counter, MetricSet } from './metrics.ts';
import { isKubeObject, isRecord, type KubeList, type KubeObject, type Resource } from './objects.ts';
import type { WatchEvent } from './objects.ts';
import type { CallAnswer, CallOptions, Transport } from './transport.ts';
import { parseJson, WatchFrames } from './watch-frames.ts';

/** As client-go: then the refusal goes to the caller. */
const ATTEMPTS_MAX = 10;
/** A server that asks for more is not believed. */
const RETRY_AFTER_MAX_MS = 60_000;
/** The server's own deadline, and a little for the way. */
const TIMEOUT_MS = 65_000;

const JSON_ONLY = 'application/json';
const METADATA = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';
const METADATA_LIST = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';

export interface RestClientOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly metrics: MetricSet;
  /** What servers see in their audit log, and the field manager of writes up to its first slash. */
  readonly userAgent: string;
}

export interface RequestOptions {
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
}

export interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Ask for metadata alone: apiVersion, kind and the rest are the server's words for that. */
  readonly metadataOnly?: boolean;
}

export interface ListOptions extends ReadOptions {
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly limit?: number;
  readonly continue?: string;
  readonly resourceVersion?: string;
  readonly resourceVersionMatch?: 'Exact' | 'NotOlderThan';
}

export interface WatchOptions extends ReadOptions {
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly resourceVersion?: string;
  readonly sendInitialEvents?: boolean;
  readonly timeoutSeconds: number;
}

export type PatchType = 'json' | 'merge' | 'strategic' | 'apply';

const PATCH_TYPES: Readonly<Record<PatchType, string>> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
};

export interface WriteOptions extends ReadOptions {
  /** Of an update; 65 s unless said. */
  readonly timeoutMs?: number;
  readonly subresource?: string;
  readonly fieldManager?: string;
}

export interface DeleteOptions {
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  readonly gracePeriodSeconds?: number;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

export interface RawAnswer {
  readonly code: number;
  readonly headers: CallAnswer['headers'];
  /** Empty where the answer has no JSON body. */
  readonly json: unknown;
}

export class RestClient {
  readonly clock: Clock;
  readonly metrics: MetricSet;
  private readonly options: RestClientOptions;
  private readonly codes = new Map<string, Counter>();

  constructor(options: RestClientOptions) {
    this.options = options;
    this.clock = options.clock;
    this.metrics = options.metrics;
  }

  /** The same client under another name. */
  named(userAgent: string): RestClient {
    return new RestClient({ ...this.options, userAgent });
  }

  // --- Objects ---------------------------------------------------------------------------------------------

  get(resource: Resource, namespace: string, name: string, options: ReadOptions = {}): Promise<KubeObject> {
    return this.object('GET', pathOf(resource, namespace, name), {
      accept: acceptOf(options, METADATA),
      signal: options.signal,
    });
  }

  /** One page. */
  async list(resource: Resource, namespace: string, options: ListOptions = {}): Promise<KubeList> {
    const { signal, metadataOnly, ...query } = options;
    const { json } = await this.raw('GET', pathOf(resource, namespace), {
      accept: acceptOf({ metadataOnly: metadataOnly === true }, METADATA_LIST),
      query: { ...query },
      signal,
    });
    return readList(json);
  }

  create(
    resource: Resource,
    namespace: string,
    object: KubeObject,
    options: WriteOptions & { readonly name?: string } = {},
  ): Promise<KubeObject> {
    return this.object('POST', pathOf(resource, namespace, options.name, options.subresource), {
      body: object,
      query: { fieldManager: options.fieldManager },
      accept: acceptOf(options, METADATA),
      signal: options.signal,
    });
  }

  /** Writes the object, or a subresource of it (`status`); its resourceVersion says which state it replaces. */
  update(
    resource: Resource,
    namespace: string,
    object: KubeObject,
    options: WriteOptions = {},
  ): Promise<KubeObject> {
    const name = object.metadata.name ?? '';
    return this.object('PUT', pathOf(resource, namespace, name, options.subresource), {
      body: object,
      query: { fieldManager: options.fieldManager },
      accept: acceptOf(options, METADATA),
      signal: options.signal,
      ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
    });
  }

  patch(
    resource: Resource,
    namespace: string,
    name: string,
    type: PatchType,
    patch: unknown,
    options: WriteOptions & { readonly force?: boolean } = {},
  ): Promise<KubeObject> {
    return this.object('PATCH', pathOf(resource, namespace, name, options.subresource), {
      body: patch,
      contentType: PATCH_TYPES[type],
      query: { fieldManager: options.fieldManager, force: options.force },
      accept: acceptOf(options, METADATA),
      signal: options.signal,
    });
  }

  /** @returns the object while it waits for something, else the Status that says it is gone */
  async delete(
    resource: Resource,
    namespace: string,
    name: string,
    options: DeleteOptions = {},
    signal?: AbortSignal,
  ): Promise<unknown> {
    const { json } = await this.raw('DELETE', pathOf(resource, namespace, name), {
      body: deleteBody(options),
      accept: `${METADATA},${JSON_ONLY}`,
      signal,
    });
    return json;
  }

  async deleteCollection(
    resource: Resource,
    namespace: string,
    options: DeleteOptions = {},
    select: Pick<ListOptions, 'labelSelector' | 'fieldSelector' | 'signal'> = {},
  ): Promise<void> {
    const { signal, ...query } = select;
    await this.raw('DELETE', pathOf(resource, namespace), {
      body: deleteBody(options),
      accept: `${METADATA_LIST},${JSON_ONLY}`,
      query: { ...query },
      signal,
    });
  }

  /**
   * Events in the portions in which they arrive, until the server ends the watch or the signal fires. An ERROR event is
   * handed on like any other.
   *
   * @throws KubeError for a watch that is refused or cut short
   */
  async *watch(
    resource: Resource,
    namespace: string,
    options: WatchOptions,
  ): AsyncGenerator<readonly WatchEvent[], void> {
    const { signal, metadataOnly, sendInitialEvents, ...query } = options;
    const target =
      pathOf(resource, namespace) +
      queryOf({
        ...query,
        watch: true,
        allowWatchBookmarks: true,
        ...(sendInitialEvents === undefined
          ? {}
          : { sendInitialEvents, resourceVersionMatch: 'NotOlderThan' }),
      });
    const answer = await this.answered('GET', target, {
      headers: this.headers({ accept: acceptOf({ metadataOnly: metadataOnly === true }, METADATA) }),
      ...(signal === undefined ? {} : { signal }),
    });
    const frames = new WatchFrames();
    try {
      for await (const chunk of answer.chunks) {
        const events = frames.push(chunk);
        if (events.length > 0) yield events;
      }
    } catch (error) {
      throw transportError(error, signal);
    }
  }

  // --- Requests --------------------------------------------------------------------------------------------

  /** A request whose answer is an object. */
  async object(method: string, path: string, options: RequestOptions = {}): Promise<KubeObject> {
    const { json } = await this.raw(method, path, options);
    if (!isKubeObject(json)) throw new KubeError('PROTOCOL', `${method} ${path} did not answer an object`);
    return json;
  }

  /**
   * Any request; its answer as JSON.
   *
   * @throws KubeError STATUS for every code of 400 and more
   */
  async raw(method: string, path: string, options: RequestOptions = {}): Promise<RawAnswer> {
    const deadline = new AbortController();
    const timer = this.clock.setTimer(options.timeoutMs ?? TIMEOUT_MS, () => deadline.abort());
    const { signal } = options;
    const leave = (): void => deadline.abort();
    signal?.addEventListener('abort', leave, { once: true });
    if (signal?.aborted === true) deadline.abort();
    try {
      const body = options.body === undefined ? undefined : Buffer.from(JSON.stringify(options.body));
      const answer = await this.answered(method, path + queryOf(options.query ?? {}), {
        method,
        headers: this.headers(options, body),
        ...(body === undefined ? {} : { body }),
        signal: deadline.signal,
      });
      const text = (await answer.bytes()).toString('utf8');
      const { code, headers } = answer;
      return { code, headers, json: isJson(headers) && text !== '' ? parseJson(text) : undefined };
    } catch (error) {
      if (
        deadline.signal.aborted &&
        signal?.aborted !== true &&
        !(error instanceof KubeError && error.code === 'STATUS')
      )
        throw new KubeError('TIMEOUT', `${method} ${path} was not answered in time`, { cause: error });
      throw transportError(error, signal);
    } finally {
      timer.cancel();
      signal?.removeEventListener('abort', leave);
    }
  }

  private headers(options: RequestOptions, body?: Buffer): Record<string, string> {
    return {
      accept: options.accept ?? JSON_ONLY,
      'user-agent': this.options.userAgent,
      ...(body === undefined
        ? {}
        : { 'content-type': options.contentType ?? JSON_ONLY, 'content-length': String(body.length) }),
      ...options.headers,
    };
  }

  /** The head of an answer that is no refusal. */
  private async answered(method: string, target: string, call: CallOptions): Promise<CallAnswer> {
    for (let attempt = 1; ; attempt += 1) {
      let answer: CallAnswer;
      try {
        answer = await this.options.transport.call(target, { ...call, method });
      } catch (error) {
        this.count(method, '<error>');
        throw transportError(error, call.signal);
      }
      this.count(method, String(answer.code));
      if (answer.code < 400) return answer;
      const refusal = await readRefusal(answer, call.signal);
      const waitMs = retryMs(method, answer);
      if (waitMs === undefined || attempt >= ATTEMPTS_MAX) throw refusal;
      const signal = call.signal ?? new AbortController().signal;
      await pause(this.clock, waitMs, signal);
      if (signal.aborted) throw refusal;
    }
  }

  private count(method: string, code: string): void {
    const key = `${method} ${code}`;
    const found = this.codes.get(key);
    if (found !== undefined) return found.add();
    const counter = this.metrics.counter(
      'rest_client_requests_total',
      'Number of HTTP requests, partitioned by status code and method.',
      { code, method },
    );
    counter.add();
    this.codes.set(key, counter);
  }
}

/** The path of a resource, an object, or a subresource. */
export function pathOf(
  { group, version, resource }: Resource,
  namespace: string,
  name?: string,
  subresource?: string,
): string {
  return [
    group === '' ? `/api/${version}` : `/apis/${group}/${version}`,
    ...(namespace === '' ? [] : ['namespaces', encodeURIComponent(namespace)]),
    resource,
    ...(name === undefined ? [] : [encodeURIComponent(name)]),
    ...(subresource === undefined ? [] : [subresource]),
  ].join('/');
}

function queryOf(query: NonNullable<RequestOptions['query']>): string {
  const parts: string[] = [];
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') parts.push(`${name}=${encodeURIComponent(String(value))}`);
  }
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}

function acceptOf(options: { readonly metadataOnly?: boolean }, metadata: string): string {
  return options.metadataOnly === true ? `${metadata},${JSON_ONLY}` : JSON_ONLY;
}

function deleteBody(options: DeleteOptions): unknown {
  return { apiVersion: 'v1', kind: 'DeleteOptions', ...options };
}

function isJson(headers: CallAnswer['headers']): boolean {
  return headers.get('content-type')?.[0]?.startsWith('application/json') === true;
}

function readList(json: unknown): KubeList {
  if (!isRecord(json)) throw new KubeError('PROTOCOL', 'the server did not answer a list');
  const items = json['items'] ?? [];
  const metadata = json['metadata'];
  if (!Array.isArray(items) || !items.every((item) => isKubeObject(item)) || !isRecord(metadata)) {
    throw new KubeError('PROTOCOL', 'the server did not answer a list');
  }
  return { items, metadata };
}

async function readRefusal(answer: CallAnswer, signal: AbortSignal | undefined): Promise<KubeError> {
  try {
    const text = (await answer.bytes()).toString('utf8');
    const body: unknown = isJson(answer.headers) && text.startsWith('{') ? parseJson(text) : undefined;
    return statusError(answer.code, body, text.slice(0, 1_000), retryAfterSeconds(answer));
  } catch (error) {
    return transportError(error, signal);
  }
}

function retryAfterSeconds({ headers }: CallAnswer): number | undefined {
  const value = headers.get('retry-after')?.[0];
  return value !== undefined && /^\d{1,6}$/.test(value) ? Number(value) : undefined;
}

/** How long to wait before the same request again; undefined: do not. */
function retryMs(method: string, answer: CallAnswer): number | undefined {
  const seconds = retryAfterSeconds(answer);
  if (seconds === undefined) return undefined;
  const again = answer.code === 429 || (answer.code >= 500 && method === 'GET');
  return again ? Math.min(seconds * 1_000, RETRY_AFTER_MAX_MS) : undefined;
}

function transportError(error: unknown, signal: AbortSignal | undefined): KubeError {
  if (error instanceof KubeError) return error;
  if (signal?.aborted === true)
    return new KubeError('CANCELLED', 'the request was given up', { cause: error });
  const message = error instanceof Error ? error.message : String(error);
  return new KubeError('TRANSPORT', message, { cause: error });
}
