/**
 * PUT of an object or of one of its subresources that is the object under other rules (status).
 */

import type { ApiResponse } from '../api/exchange.ts';
import type { KubeObject } from '../api/meta.ts';
import type { Slices } from '../api/sliced.ts';
import { settled } from '../registry/conversions.ts';
import { answerMade, formOf } from './answer.ts';
import { readBody } from './body.ts';
import { writeOptions } from './options.ts';
import {
  bodyMissing,
  callOf,
  checkName,
  fieldOptionsOf,
  kindOf,
  shownOf,
  slicesOf,
  storedOf,
  trackedInSlices,
  updateAdmission,
  type Scope,
  namespaceOf,
} from './scope.ts';

export async function update(scope: Scope): Promise<ApiResponse> {
  const { request, served, subresource, view } = scope;
  const { definition, store } = served;
  if (store === undefined) throw new Error(`${definition.resource} is not stored`);
  const { name } = request.info;
  const namespace = namespaceOf(scope);
  formOf(scope);
  const options = writeOptions(request.query, 'UpdateOptions');
  const slices = slicesOf(scope);
  const body = await readBody(scope, slices);
  if (body === undefined) throw bodyMissing(kindOf(scope));
  checkName(body.object, name, namespace);
  const strategy = subresource?.backing.kind === 'update' ? subresource.backing.strategy : undefined;
  const fields = {
    ...fieldOptionsOf(scope, (strategy ?? definition.strategy).resetFields),
    reset: body.reset,
  };
  const { dryRun } = options;
  const { ready, validations } = updateAdmission(scope, options);
  const updated = async (existing: KubeObject | undefined, long?: Slices): Promise<KubeObject> => {
    const live = shownOf(scope, existing);
    const tracking = trackedInSlices(scope, live, body.object, options.fieldManager, fields, long);
    const owned = tracking instanceof Promise ? await tracking : tracking;
    return await ready(existing, storedOf(scope, owned, existing), long);
  };
  const { uid } = body.object.metadata;
  const { created, ...made } = await settled(() =>
    store.updateObject(callOf(scope, dryRun, slices, body.long), namespace, name, {
      updated,
      uid: uid === '' || view !== undefined ? undefined : uid,
      ...(strategy === undefined ? {} : { strategy }),
      validations,
    }),
  );
  return await settled(() => answerMade(scope, created ? 201 : 200, made));
}
