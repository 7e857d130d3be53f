/**
 * POST to a collection: decode, default, note the owners, mutate, and let the store make the object.
 */

import type { ApiResponse } from '../api/exchange.ts';
import type { KubeObject } from '../api/meta.ts';
import { inNamespace } from '../registry/before.ts';
import { settled } from '../registry/conversions.ts';
import { withMetadata } from '../registry/generation.ts';
import { answerMade, formOf } from './answer.ts';
import { optionsObject, writeOptions } from './options.ts';
import {
  bodyMissing,
  callOf,
  fieldOptionsOf,
  kindOf,
  mutated,
  slicesOf,
  trackedInSlices,
  validated,
  type Scope,
  namespaceOf,
} from './scope.ts';
import { readBody } from './body.ts';

/** What only the server says of an object, and nobody owns. */
const SERVERS = ['uid', 'creationTimestamp', 'deletionTimestamp', 'deletionGracePeriodSeconds'] as const;

/** The object without what a client said in the server's place. */
function withoutServers(object: KubeObject): KubeObject {
  const said = SERVERS.filter((name) => Object.hasOwn(object.metadata, name));
  if (said.length === 0) return object;
  return withMetadata(object, Object.fromEntries(said.map((name) => [name, undefined])));
}

export async function create(scope: Scope): Promise<ApiResponse> {
  const { request, served, parts } = scope;
  const { definition, store } = served;
  if (store === undefined) throw new Error(`${definition.resource} is not stored`);
  const namespace = namespaceOf(scope);
  formOf(scope);
  const options = writeOptions(request.query, 'CreateOptions');
  const slices = slicesOf(scope);
  const body = await readBody(scope, slices);
  if (body === undefined) throw bodyMissing(kindOf(scope));
  const object = withoutServers(inNamespace(body.object, namespace));
  const fields = { ...fieldOptionsOf(scope, definition.strategy.resetFields), reset: body.reset };
  const tracking = trackedInSlices(
    scope,
    undefined,
    object,
    options.fieldManager,
    fields,
    body.long ? slices : undefined,
  );
  const owned = tracking instanceof Promise ? await tracking : tracking;
  const { dryRun } = options;
  const admissionOptions = optionsObject(options, 'CREATE');
  const stored = await settled(() => parts.scheme.toStored(definition, owned));
  const ready = await settled(() => mutated(scope, 'CREATE', stored, undefined, admissionOptions, dryRun));
  const created = await settled(() =>
    store.createObject(callOf(scope, dryRun, slices, body.long), namespace, ready, {
      create: (value) => validated(scope, 'CREATE', value, undefined, admissionOptions, dryRun),
    }),
  );
  return await settled(() => answerMade(scope, 201, created));
}
