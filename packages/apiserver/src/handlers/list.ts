/**
 * GET of a collection. Where the client takes JSON in the version that is stored, the answer is joined from the
 * bytes the store keeps of each object; nothing is parsed or written anew.
 */

import type { ApiResponse } from '../api/exchange.ts';
import type { Json } from '../api/json.ts';
import type { KubeObject, ListMeta } from '../api/meta.ts';
import { asJson } from '../codec/object-codec.ts';
import type { RowPrinter } from '../printers/printer.ts';
import { metadataListOf, tableOf } from '../printers/table.ts';
import { writeJson } from '../codec/json-writer.ts';
import type { ListResult, StoredObject } from '../storage/storage.ts';
import { settled } from '../registry/conversions.ts';
import { selectionOf } from '../registry/selection.ts';
import {
  formOf,
  goType,
  includeOf,
  isServedAsStored,
  JSON_TYPE,
  notInThisForm,
  prepareShown,
} from './answer.ts';
import { ConvertedSelection } from './converted-selection.ts';
import { listOptions } from './options.ts';
import { namespaceOf, type Scope } from './scope.ts';
import { PART_COUNT, type AnswerForm, type LongList } from './wire.ts';

const COMMA = Buffer.from(',');
/** A list of more objects is made while it is sent; a shorter one has its length said before. */
const LONG_COUNT = 200;
/** What is joined before it is handed on. */
const CHUNK_BYTES = 64 * 1024;

export async function list(scope: Scope): Promise<ApiResponse> {
  const { request, served, parts } = scope;
  const { info } = request;
  const form = formOf(scope);
  const options = listOptions(request.query, false);
  const selection = selectionOf(served.definition, info.labelSelector, info.fieldSelector, pathName(scope));
  if (served.store === undefined) throw new Error(`${served.definition.resource} is not stored`);
  const converted = new ConvertedSelection(scope, selection);
  const stored = await served.store.page(namespaceOf(scope), {
    resourceVersion: options.resourceVersion,
    resourceVersionMatch: options.resourceVersionMatch,
    selection: converted.stored,
    limit: options.limit,
    continue: options.continue,
    signal: request.signal,
  });
  const page = await converted.page(stored);
  await prepareShown(scope, () => page.objects.map(({ value }) => value));
  const long = page.objects.length > LONG_COUNT;
  if (form.as === 'object' && form.media === 'json' && !form.pretty && isServedAsStored(scope)) {
    const answer = { code: 200, contentType: JSON_TYPE };
    if (!long) return { kind: 'bytes', ...answer, body: joinedList(scope, page) };
    return { kind: 'stream', ...answer, chunks: joinedInTurns(scope, page), finite: true };
  }
  const meta = metaOf(page);
  // Audit reads a short answer, if it does, as an object or as JSON.
  const unread = long || form.media === 'json' || request.context.audit === undefined;
  if (page.objects.length > PART_COUNT && unread) {
    const head = listObject(scope, form, [], meta);
    const rows = form.as === 'Table' ? await rowsOf(scope, page.objects) : undefined;
    const made = parts.wire.longList(form, {
      head,
      stored: rows?.stored ?? page.objects,
      part: async (stored) => {
        await turnOf(scope);
        // What was asked for all of them at first may be forgotten where others ask for much.
        const objects = await settled(async () => {
          await prepareShown(scope, () => stored.map(({ value }) => value));
          return stored.map(
            (object) => rows?.objects.get(object) ?? parts.scheme.toServed(served, object.value),
          );
        });
        return listObject(scope, form, objects, meta, rows?.printer);
      },
      apiVersion: served.apiVersion,
      steady: served.definition.prepareConversion === undefined,
    });
    if (made !== undefined) return long ? { kind: 'stream', code: 200, finite: true, ...made } : whole(made);
  }
  const objects = page.objects.map((object) => parts.scheme.toServed(served, object.value));
  return { kind: 'object', code: 200, object: listObject(scope, form, objects, meta) };
}

/** Rows that depend on each other: in the order of the table, with the objects they show. */
interface Rows {
  readonly stored: readonly StoredObject[];
  readonly objects: ReadonlyMap<StoredObject, KubeObject>;
  readonly printer: RowPrinter;
}

/** Asks a kind's printer once for all its rows, which are made in parts nevertheless; undefined where each is for itself. */
async function rowsOf(scope: Scope, stored: readonly StoredObject[]): Promise<Rows | undefined> {
  const { served, parts } = scope;
  const { printer } = served.version;
  if (printer?.together === undefined) return undefined;
  const objects = new Map<StoredObject, KubeObject>();
  const sources = new Map<KubeObject, StoredObject>();
  for (const [index, one] of stored.entries()) {
    if (index % PART_COUNT === 0) await turnOf(scope);
    const object = parts.scheme.toServed(served, one.value);
    objects.set(one, object);
    sources.set(object, one);
  }
  const rows = printer.together([...sources.keys()]);
  const inOrder = rows.objects.flatMap((object) => sources.get(object) ?? []);
  return { stored: inOrder, objects, printer: rows };
}

/** What is short enough to be waited for. */
async function whole({ contentType, chunks }: LongList): Promise<ApiResponse> {
  const body: Buffer[] = [];
  for await (const chunk of chunks) body.push(chunk);
  return { kind: 'bytes', code: 200, contentType, body };
}

/** The name in the URL of a deprecated watch of one object; a selector's name is not meant. */
export function pathName({ request }: Scope): string {
  return request.info.parts[1] ?? '';
}

export function metaOf(page: ListResult): ListMeta {
  return {
    resourceVersion: String(page.revision),
    ...(page.continue === '' ? {} : { continue: page.continue }),
    ...(page.remainingItemCount === undefined ? {} : { remainingItemCount: page.remainingItemCount }),
  };
}

/**
 * A list in the form that was asked for. Objects are in the request's version.
 *
 * @param rows prints those of a part of a table whose rows are made together
 */
export function listObject(
  scope: Scope,
  form: AnswerForm,
  objects: readonly KubeObject[],
  meta: ListMeta,
  rows?: RowPrinter,
): KubeObject {
  const { served, parts } = scope;
  switch (form.as) {
    case 'Table':
      return tableOf(objects, meta, {
        printer: served.version.printer,
        version: form.version,
        include: includeOf(scope),
        nowMs: parts.nowMs(),
        rows,
      });
    case 'PartialObjectMetadataList':
      return metadataListOf(objects, meta, form.version);
    case 'PartialObjectMetadata':
      throw notInThisForm(
        `you requested PartialObjectMetadata, but the requested object is a list (${goType(scope, true)})`,
      );
    case 'object': {
      const metadata: KubeObject['metadata'] & ListMeta = meta;
      return {
        kind: served.listKind,
        apiVersion: served.apiVersion,
        metadata,
        items: objects.map(itemOf(scope)),
      };
    }
  }
}

/** Items of a built-in list do not repeat what they are; those of custom resources do. */
function itemOf({ served }: Scope): (object: KubeObject) => Json {
  if (served.version.schema !== undefined) return asJson;
  return (object) => {
    const { kind: _kind, apiVersion: _apiVersion, ...rest } = asJson(object);
    return rest;
  };
}

/** The list without an item as JSON, up to where they begin. */
function startOf({ served }: Scope, page: ListResult): Buffer {
  const { listKind, apiVersion } = served;
  return Buffer.from(
    `{"kind":${JSON.stringify(listKind)},"apiVersion":${JSON.stringify(apiVersion)},"metadata":${JSON.stringify(metaOf(page))},"items":[`,
  );
}

/** What is kept of an object as an item's JSON: in one or two pieces, of which nothing is copied. */
function itemJson(scope: Scope): (object: StoredObject, add: (piece: Buffer) => void) => void {
  const { served } = scope;
  if (served.version.schema !== undefined) return (object, add) => add(object.json());
  const heads = [
    `{"kind":${JSON.stringify(served.kind)},"apiVersion":${JSON.stringify(served.apiVersion)},`,
    `{"apiVersion":${JSON.stringify(served.apiVersion)},"kind":${JSON.stringify(served.kind)},`,
  ].map((text) => Buffer.from(text));
  const bare = itemOf(scope);
  return (object, add) => {
    const json = object.json();
    const head = heads.find((one) => json.compare(one, 0, one.length, 0, one.length) === 0);
    if (head === undefined) {
      add(Buffer.from(writeJson(bare(object.value))));
    } else {
      add(BRACE);
      add(json.subarray(head.length));
    }
  };
}

/** The whole list as pieces of JSON. */
function joinedList(scope: Scope, page: ListResult): Buffer[] {
  const pieces: Buffer[] = [startOf(scope, page)];
  const add = (piece: Buffer): void => void pieces.push(piece);
  const item = itemJson(scope);
  for (const [index, object] of page.objects.entries()) {
    if (index > 0) pieces.push(COMMA);
    item(object, add);
  }
  pieces.push(END);
  return pieces;
}

/** The same in chunks, others having their turn between them. */
async function* joinedInTurns(scope: Scope, page: ListResult): AsyncGenerator<Buffer, void> {
  const turn = (): Promise<void> => turnOf(scope);
  let pieces: Buffer[] = [startOf(scope, page)];
  let size = 0;
  const add = (piece: Buffer): void => {
    pieces.push(piece);
    size += piece.length;
  };
  const item = itemJson(scope);
  await turn();
  for (const [index, object] of page.objects.entries()) {
    if (index > 0) pieces.push(COMMA);
    item(object, add);
    if (size < CHUNK_BYTES) continue;
    yield Buffer.concat(pieces);
    pieces = [];
    size = 0;
    await turn();
  }
  pieces.push(END);
  yield Buffer.concat(pieces);
}

/** Until the next piece of the answer may be made. */
export function turnOf({ parts, request }: Scope): Promise<void> {
  const { user, receivedMs } = request.context;
  return parts.turns.take(user?.name ?? '', receivedMs);
}

const BRACE = Buffer.from('{');
const END = Buffer.from(']}\n');
