/** GET of one object. */

import type { ApiResponse } from '../api/exchange.ts';
import { answerStored, prepareShown } from './answer.ts';
import { namespaceOf, type Scope } from './scope.ts';

export async function get(scope: Scope): Promise<ApiResponse> {
  const { request, served } = scope;
  const { name } = request.info;
  const resourceVersion = request.query.get('resourceVersion') ?? '';
  const object = await served.store?.read(namespaceOf(scope), name, {
    resourceVersion,
    signal: request.signal,
  });
  if (object === undefined) throw new Error(`${served.definition.resource} is not stored`);
  await prepareShown(scope, () => [object.value]);
  return answerStored(scope, 200, object);
}
