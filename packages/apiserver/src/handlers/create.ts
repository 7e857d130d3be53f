/**
 * POST to a collection: decode, default, note the owners, mutate, and let the store make the object.
 */

import type { ApiResponse } from '../api/exchange.ts';
import { inNamespace } from '../registry/before.ts';
import { settled } from '../registry/conversions.ts';
import { answerMade } from './answer.ts';
import { optionsObject, writeOptions } from './options.ts';
import {
  bodyMissing,
  callOf,
  fieldOptionsOf,
  kindOf,
  mutated,
  tracked,
  validated,
  type Scope,
  namespaceOf,
} from './scope.ts';
import { readBody } from './body.ts';

export async function create(scope: Scope): Promise<ApiResponse> {
  const { request, served, parts } = scope;
  const { definition, store } = served;
  if (store === undefined) throw new Error(`${definition.resource} is not stored`);
  const namespace = namespaceOf(scope);
  const options = writeOptions(request.query, 'CreateOptions');
  const body = await readBody(scope);
  if (body === undefined) throw bodyMissing(kindOf(scope));
  const object = inNamespace(body.object, namespace);
  const fields = { ...fieldOptionsOf(scope, definition.strategy.resetFields), reset: body.reset };
  const owned = tracked(scope, undefined, object, options.fieldManager, fields);
  const { dryRun } = options;
  const admissionOptions = optionsObject(options);
  const stored = await settled(() => parts.scheme.toStored(definition, owned));
  const ready = await settled(() => mutated(scope, 'CREATE', stored, undefined, admissionOptions, dryRun));
  const created = await settled(() =>
    store.createObject(callOf(scope, dryRun), namespace, ready, {
      create: (value) => validated(scope, 'CREATE', value, undefined, admissionOptions, dryRun),
    }),
  );
  return await settled(() => answerMade(scope, 201, created));
}
