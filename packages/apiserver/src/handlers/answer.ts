/**
 * Objects as a client asked for them: whole, as a table, or their metadata alone.
 */

import type { ApiResponse } from '../api/exchange.ts';
import type { KubeObject } from '../api/meta.ts';
import { ApiError, badRequest } from '../api/status.ts';
import type { TablePrinter } from '../printers/printer.ts';
import { metadataOf, tableOf, type IncludeObject } from '../printers/table.ts';
import { scalePrinter } from '../printers/workload-printers.ts';
import { withMetadata } from '../registry/generation.ts';
import type { Made } from '../registry/store-parts.ts';
import type { StoredObject } from '../storage/storage.ts';
import { shownOf, slicesOf, type Scope } from './scope.ts';
import type { AnswerForm } from './wire.ts';

export const JSON_TYPE = 'application/json';

/**
 * The form of an answer that is an object of the endpoint's kind, or a list of them. Who changes something asks first:
 * what cannot be answered is not done.
 *
 * @throws ApiError NotAcceptable
 */
export function formOf(scope: Scope, watch = false): AnswerForm {
  return scope.parts.wire.answerForm(scope.request, { watch, table: hasTable(scope) });
}

/** Reviews, and what is only posted below an object, have no columns. */
function hasTable({ served, subresource }: Scope): boolean {
  if (subresource !== undefined) return subresource.backing.kind !== 'create';
  const { backing } = served.definition;
  return backing.kind !== 'virtual' || backing.get !== undefined;
}

/** @throws ApiError BadRequest */
export function includeOf({ request }: Scope): IncludeObject {
  const text = request.query.get('includeObject') ?? '';
  switch (text) {
    case '':
      return 'Metadata';
    case 'None':
    case 'Metadata':
    case 'Object':
      return text;
    default:
      throw badRequest(
        `Unable to convert to Table as requested: includeObject: Invalid value: ${JSON.stringify(text)}: must be 'Metadata', 'Object', 'None', or empty`,
      );
  }
}

/** One object, in the request's version already. */
export function answer(scope: Scope, code: number, object: KubeObject): ApiResponse {
  const form = formOf(scope);
  // A view tells no owners: they are the object's.
  const shown = scope.view === undefined ? object : withMetadata(object, { managedFields: undefined });
  return { kind: 'object', code, object: shaped(scope, form, shown) };
}

/** Whether what lies in the store is of the request's version: then its JSON can be sent as it is. */
export function isServedAsStored({ served }: Scope): boolean {
  const { definition } = served;
  const { backing, group } = definition;
  // Where a webhook converts, objects may lie there in versions of before.
  if (backing.kind !== 'stored' || definition.prepareConversion !== undefined) return false;
  return backing.version.group === group && backing.version.version === served.version.version;
}

/** Makes the calls that showing these objects in the request's version takes. @throws ApiError */
export async function prepareShown(scope: Scope, values: () => readonly KubeObject[]): Promise<void> {
  const { definition, version } = scope.served;
  if (definition.prepareConversion === undefined) return;
  const to = { group: definition.group, version: version.version };
  await definition.prepareConversion(values(), to, slicesOf(scope));
}

/** What a write made, as the request sees it; where it can be, in the bytes that watchers get as well. */
export function answerMade(scope: Scope, code: number, { object, stored }: Made): ApiResponse {
  if (stored !== undefined && scope.view === undefined) return answerStored(scope, code, stored);
  return answer(scope, code, shownOf(scope, object) ?? object);
}

/** An object out of the store: where a client takes the JSON that is kept of it, nothing is written anew. */
export function answerStored(scope: Scope, code: number, stored: StoredObject): ApiResponse {
  const form = formOf(scope);
  if (form.as === 'object' && form.media === 'json' && !form.pretty && isServedAsStored(scope)) {
    return { kind: 'bytes', code, contentType: JSON_TYPE, body: [stored.json(), LINE_END] };
  }
  const object = scope.parts.scheme.toServed(scope.served, stored.value);
  return { kind: 'object', code, object: shaped(scope, form, object) };
}

const LINE_END = Buffer.from('\n');

function shaped(scope: Scope, form: AnswerForm, object: KubeObject): KubeObject {
  // A Status is what it is, whatever was asked for.
  if (object.kind === 'Status') return object;
  switch (form.as) {
    case 'Table': {
      const { resourceVersion } = object.metadata;
      return tableOf([object], resourceVersion === undefined ? {} : { resourceVersion }, {
        printer: printerOf(scope),
        version: form.version,
        include: includeOf(scope),
        nowMs: scope.parts.nowMs(),
      });
    }
    case 'PartialObjectMetadata':
      return metadataOf(object, form.version);
    case 'PartialObjectMetadataList':
      throw notInThisForm(
        `you requested PartialObjectMetadataList, but the requested object is not a list (${goType(scope, false)})`,
      );
    case 'object':
      return object;
  }
}

/** The object there is cannot take the form that was asked for. */
export function notInThisForm(message: string): ApiError {
  return new ApiError({ code: 406, reason: 'NotAcceptable', message });
}

/** What the original calls the type of its objects in such texts, `*core.PodList`. */
export function goType({ served }: Scope, list: boolean): string {
  const types = served.version.typeName.split('.')[0];
  return types === '' ? '*unstructured.Unstructured' : `*${types}.${list ? served.listKind : served.kind}`;
}

/** A subresource that is another kind has that kind's columns. */
function printerOf({ subresource, served }: Scope): TablePrinter | undefined {
  if (subresource?.kind === undefined) return served.version.printer;
  return subresource.kind.kind === 'Scale' ? scalePrinter : undefined;
}
