/** DELETE of an object, and of a collection. */

import type { ApiRequest, ApiResponse } from '../api/exchange.ts';
import type { GroupVersionKind, KubeObject } from '../api/meta.ts';
import { asJson } from '../codec/object-codec.ts';
import type { DeleteOptions } from '../registry/deletion.ts';
import { settled } from '../registry/conversions.ts';
import { selectionOf } from '../registry/selection.ts';
import { answer, formOf, prepareShown } from './answer.ts';
import { ConvertedSelection } from './converted-selection.ts';
import { listObject, metaOf } from './list.ts';
import { deleteOptions, deleteOptionsObject, listOptions } from './options.ts';
import { callOf, validated, slicesOf, type Scope, namespaceOf } from './scope.ts';

export async function deleteOne(scope: Scope): Promise<ApiResponse> {
  const { request, served, parts } = scope;
  const { store } = served;
  if (store === undefined) throw new Error(`${served.definition.resource} is not stored`);
  const { name } = request.info;
  const namespace = namespaceOf(scope);
  formOf(scope);
  const { options, object: body } = await readOptions(scope);
  const dryRun = (options.dryRun ?? []).length > 0;
  const { object, gone } = await settled(() =>
    store.deleteObject(callOf(scope, dryRun), namespace, name, options, {
      delete: (old) => validated(scope, 'DELETE', undefined, old, body, dryRun),
    }),
  );
  // Who says that nothing is to be orphaned hears that it is not done yet.
  const code = !gone && options.orphanDependents === false ? 202 : 200;
  const shown = await settled(() =>
    object.kind === 'Status' ? object : parts.scheme.toServed(served, object),
  );
  return answer(scope, code, shown);
}

export async function deleteCollection(scope: Scope): Promise<ApiResponse> {
  const { request, served, parts } = scope;
  const { store, definition } = served;
  if (store === undefined) throw new Error(`${definition.resource} is not stored`);
  const { labelSelector, fieldSelector } = request.info;
  const namespace = namespaceOf(scope);
  const form = formOf(scope);
  const list = listOptions(request.query, false);
  const { options, object: body } = await readOptions(scope);
  const dryRun = (options.dryRun ?? []).length > 0;
  const selection = new ConvertedSelection(scope, selectionOf(definition, labelSelector, fieldSelector));
  const { objects, last } = await store.deleteCollection(
    callOf(scope, dryRun),
    namespace,
    {
      resourceVersion: list.resourceVersion,
      resourceVersionMatch: list.resourceVersionMatch,
      limit: list.limit,
      continue: list.continue,
      selection: selection.stored,
      signal: request.signal,
    },
    options,
    { delete: (old) => validated(scope, 'DELETE', undefined, old, body, dryRun) },
    (found) => selection.chosen(found),
  );
  await prepareShown(scope, () => objects);
  const items = objects.map((object) => parts.scheme.toServed(served, object));
  return { kind: 'object', code: 200, object: listObject(scope, form, items, metaOf(last)) };
}

async function readOptions(
  scope: Scope,
): Promise<{ readonly options: DeleteOptions; readonly object: KubeObject }> {
  const { parts, request, served } = scope;
  const schema = parts.scheme.types.struct('meta.v1.DeleteOptions');
  // DeleteOptions belongs to every group and version; clients say v1, the group's own, or meta.k8s.io's.
  const kinds: GroupVersionKind[] = [
    { group: '', version: 'v1', kind: 'DeleteOptions' },
    { group: 'meta.k8s.io', version: 'v1', kind: 'DeleteOptions' },
    { group: served.definition.group, version: served.version.version, kind: 'DeleteOptions' },
  ];
  const [own, ...others] = kinds;
  const object = hasBody(request)
    ? await parts.wire.readObject(request, {
        kind: own,
        schema,
        anyVersion: true,
        others: others.map((kind) => ({ kind, schema })),
        long: () => slicesOf(scope),
      })
    : undefined;
  if (object !== undefined) request.context.audit?.requestObject(asJson(object));
  const options = deleteOptions(request, object);
  return { options, object: object ?? deleteOptionsObject(options) };
}

/** A DELETE mostly has none; its length says so. */
function hasBody({ headers }: ApiRequest): boolean {
  return headers.get('content-length')?.[0] !== '0';
}
