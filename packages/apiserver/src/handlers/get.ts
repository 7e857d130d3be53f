/** GET of one object. */

import type { ApiResponse } from '../api/exchange.ts';
import { answerStored, prepareShown } from './answer.ts';
import { namespaceOf, type Scope } from './scope.ts';

export async function get(scope: Scope): Promise<ApiResponse> {
  const { request, served } = scope;
  const { name } = request.info;
  const resourceVersion = request.query.get('resourceVersion') ?? '';
  // A read of the newest state waits for the store and nothing else: giving it up early would save nobody anything.
  const waits = resourceVersion === '' ? {} : { resourceVersion, signal: request.signal };
  const object = await served.store?.read(namespaceOf(scope), name, waits);
  if (object === undefined) throw new Error(`${served.definition.resource} is not stored`);
  await prepareShown(scope, () => [object.value]);
  return answerStored(scope, 200, object);
}
