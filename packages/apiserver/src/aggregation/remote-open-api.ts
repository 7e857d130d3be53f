/**
 * What aggregated servers say of their APIs in OpenAPI: of version 2 the document, kept as what it says of their own
 * group and version; of version 3 where the document is, which is handed on when somebody asks. Fetched in the background
 * with tags, bounded; a bad one leaves what was known before.
 *
 * Modelled on kube-aggregator's controllers/openapi and openapiv3.
 */

import { toError, type Logger } from '@keelson/base';

import type { OwnAnswer, RemoteCaller } from './remote-caller.ts';
import { pathOf, type RemoteApi } from './remote-api.ts';

/** What is known of one APIService. */
interface Known {
  readonly api: RemoteApi;
  readonly etagV2: string;
  /** What is kept of the document; empty: none. */
  readonly v2: Buffer;
  readonly etagV3: string;
  /** Where its document of version 3 is; empty: there is none. */
  readonly v3: string;
}

/** A document of version 2 and whose it is. */
export interface RemoteDocument {
  readonly name: string;
  /** Where its paths begin. */
  readonly path: string;
  /** Another text when the document is another. */
  readonly signature: string;
  readonly bytes: Buffer;
}

const ANSWER_MS = 10_000;
/** Kubernetes' own document has 3.8 MB. */
const V2_BYTES_MAX = 8 * 1024 * 1024;
const V3_BYTES_MAX = 1024 * 1024;
const JSON_TYPE = 'application/json';

/**
 * What is kept of a document of version 2: what it says of the paths that begin so.
 *
 * @throws Error for what is no such document
 */
export type Trim = (document: Buffer, path: string) => Buffer;

export class RemoteOpenApi {
  private readonly caller: RemoteCaller;
  private readonly trim: Trim;
  private readonly logger: Logger;
  private readonly known = new Map<string, Known>();
  private changes = 0;

  constructor(caller: RemoteCaller, trim: Trim, logger: Logger) {
    this.caller = caller;
    this.trim = trim;
    this.logger = logger;
  }

  /** Another number after each change. */
  generation(): number {
    return this.changes;
  }

  /** Those of version 2, in the order of their names. */
  documents(): RemoteDocument[] {
    return [...this.known.values()]
      .filter(({ v2 }) => v2.length > 0)
      .map(({ api, etagV2, v2 }) => ({
        name: api.name,
        path: pathOf(api),
        signature: `${api.name} ${etagV2} ${v2.length}`,
        bytes: v2,
      }))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Where each of version 3 is, by `apis/G/V`. */
  addresses(): ReadonlyMap<string, string> {
    const found = [...this.known.values()].filter(({ v3 }) => v3 !== '');
    return new Map(found.map(({ api, v3 }) => [pathOf(api).slice(1), v3]));
  }

  /** Whether a path is that of a document of version 3 that another server has. */
  has(key: string): boolean {
    for (const { api, v3 } of this.known.values()) if (v3 !== '' && pathOf(api).slice(1) === key) return true;
    return false;
  }

  forget(name: string): void {
    if (this.known.delete(name)) this.changes += 1;
  }

  /** Asks a server. Never rejects. */
  async update(api: RemoteApi, signal: AbortSignal): Promise<void> {
    const before = this.known.get(api.name);
    const [v2, v3] = await Promise.all([
      this.fetch(api, '/openapi/v2', before?.etagV2 ?? '', V2_BYTES_MAX, signal),
      this.fetch(api, '/openapi/v3', before?.etagV3 ?? '', V3_BYTES_MAX, signal),
    ]);
    if (signal.aborted) return;
    const kept = v2?.code === 200 ? this.trimmed(api, v2.body) : v2?.code === 404 ? NONE : undefined;
    const next: Known = {
      api,
      etagV2: v2?.code === 200 ? v2.etag : (before?.etagV2 ?? ''),
      v2: kept ?? before?.v2 ?? NONE,
      etagV3: v3?.code === 200 ? v3.etag : (before?.etagV3 ?? ''),
      v3: v3?.code === 200 ? addressIn(v3, api) : v3?.code === 404 ? '' : (before?.v3 ?? ''),
    };
    if (before !== undefined && before.v2.equals(next.v2) && before.v3 === next.v3) {
      this.known.set(api.name, { ...next, v2: before.v2 });
      return;
    }
    this.known.set(api.name, next);
    this.changes += 1;
  }

  /** @returns undefined for what cannot be read: what was known before stays */
  private trimmed(api: RemoteApi, document: Buffer): Buffer | undefined {
    try {
      return this.trim(document, pathOf(api));
    } catch (error) {
      this.logger.warn('an OpenAPI document of an aggregated API cannot be read', {
        name: api.name,
        error: toError(error).message,
      });
      return undefined;
    }
  }

  private async fetch(
    api: RemoteApi,
    path: string,
    etag: string,
    bytesMax: number,
    signal: AbortSignal,
  ): Promise<OwnAnswer | undefined> {
    try {
      const place = this.caller.place(api);
      return await this.caller.ask(api, place, {
        path,
        accept: JSON_TYPE,
        etag,
        timeoutMs: ANSWER_MS,
        bytesMax,
        signal,
      });
    } catch (error) {
      if (!signal.aborted) {
        this.logger.warn('an OpenAPI document of an aggregated API could not be fetched', {
          name: api.name,
          path,
          error: toError(error).message,
        });
      }
      return undefined;
    }
  }
}

const NONE = Buffer.alloc(0);

/** Where the index says the document of the version is: nowhere else than where this server looks for it. */
function addressIn({ body, etag }: OwnAnswer, api: RemoteApi): string {
  const key = pathOf(api).slice(1);
  const own = `/openapi/v3/${key}`;
  let said = '';
  try {
    said = stringAt(JSON.parse(body.toString('utf8')), ['paths', key, 'serverRelativeURL']);
  } catch {
    // What is no JSON tells of no document.
    return '';
  }
  if (said === '') return '';
  const hash = said.startsWith(`${own}?hash=`) ? said.slice(`${own}?hash=`.length) : etag.replaceAll('"', '');
  return /^[0-9A-Za-z]{1,256}$/.test(hash) ? `${own}?hash=${hash}` : own;
}

function stringAt(value: unknown, path: readonly string[]): string {
  let at = value;
  for (const name of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return '';
    at = Reflect.get(at, name);
  }
  return typeof at === 'string' ? at : '';
}
