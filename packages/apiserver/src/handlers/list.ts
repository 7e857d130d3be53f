/**
 * GET of a collection. Where the client takes JSON in the version that is stored, the answer is joined from the
 * bytes the store keeps of each object; nothing is parsed or written anew.
 */

import type { ApiResponse } from '../api/exchange.ts';
import type { KubeObject, ListMeta } from '../api/meta.ts';
import { metadataListOf, tableOf } from '../printers/table.ts';
import type { ListResult } from '../storage/storage.ts';
import { selectionOf } from '../registry/selection.ts';
import { formOf, goType, includeOf, isServedAsStored, JSON_TYPE, notInThisForm } from './answer.ts';
import { listOptions } from './options.ts';
import { namespaceOf, type Scope } from './scope.ts';
import type { AnswerForm } from './wire.ts';

const COMMA = Buffer.from(',');

export async function list(scope: Scope): Promise<ApiResponse> {
  const { request, served, parts } = scope;
  const { info } = request;
  const form = formOf(scope);
  const options = listOptions(request.query, false);
  const selection = selectionOf(served.definition, info.labelSelector, info.fieldSelector, pathName(scope));
  if (served.store === undefined) throw new Error(`${served.definition.resource} is not stored`);
  const page = await served.store.page(namespaceOf(scope), {
    resourceVersion: options.resourceVersion,
    resourceVersionMatch: options.resourceVersionMatch,
    selection,
    limit: options.limit,
    continue: options.continue,
    signal: request.signal,
  });
  if (form.as === 'object' && form.media === 'json' && !form.pretty) {
    const joined = joinedList(scope, page);
    if (joined !== undefined) return { kind: 'bytes', code: 200, contentType: JSON_TYPE, body: joined };
  }
  const objects = page.objects.map((object) => parts.scheme.toServed(served, object.value));
  return { kind: 'object', code: 200, object: listObject(scope, form, objects, metaOf(page)) };
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

/** A list in the form that was asked for. Objects are in the request's version. */
export function listObject(
  scope: Scope,
  form: AnswerForm,
  objects: readonly KubeObject[],
  meta: ListMeta,
): KubeObject {
  const { served, parts } = scope;
  switch (form.as) {
    case 'Table':
      return tableOf(objects, meta, {
        printer: served.version.printer,
        version: form.version,
        include: includeOf(scope),
        nowMs: parts.nowMs(),
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
function itemOf({ served }: Scope): (object: KubeObject) => unknown {
  if (served.version.schema !== undefined) return (object) => object;
  return ({ kind: _kind, apiVersion: _apiVersion, ...rest }) => rest;
}

/** The whole list as pieces of JSON; undefined where the bytes are not the request's version. */
function joinedList(scope: Scope, page: ListResult): Buffer[] | undefined {
  if (!isServedAsStored(scope)) return undefined;
  const { served } = scope;
  const typed = served.version.schema === undefined;
  const heads = [
    `{"kind":${JSON.stringify(served.kind)},"apiVersion":${JSON.stringify(served.apiVersion)},`,
    `{"apiVersion":${JSON.stringify(served.apiVersion)},"kind":${JSON.stringify(served.kind)},`,
  ].map((text) => Buffer.from(text));
  const start = `{"kind":${JSON.stringify(served.listKind)},"apiVersion":${JSON.stringify(served.apiVersion)},"metadata":${JSON.stringify(metaOf(page))},"items":[`;
  const pieces: Buffer[] = [Buffer.from(start)];
  for (const [index, object] of page.objects.entries()) {
    if (index > 0) pieces.push(COMMA);
    const json = object.json();
    const head = typed
      ? heads.find((candidate) => json.subarray(0, candidate.length).equals(candidate))
      : undefined;
    if (head === undefined) {
      if (typed) return undefined;
      pieces.push(json);
    } else {
      pieces.push(BRACE, json.subarray(head.length));
    }
  }
  pieces.push(Buffer.from(']}\n'));
  return pieces;
}

const BRACE = Buffer.from('{');
