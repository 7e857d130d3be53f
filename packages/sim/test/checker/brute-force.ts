/**
 * The dumb twin of the checker, for small histories of requests about keys: every order of the answered operations with every choice
 * of the unanswered ones, each order that keeps real time run on the model from the start. Nothing is cut short by
 * revisions; they are outputs like all others.
 */
import type { History, Operation } from '../../src/history/record.ts';
import { difference } from '../../src/checker/answer.ts';
import { isKeyRequest, isKeyResponse, isLocal, mayWrite } from '../../src/checker/filing.ts';
import { KeySpace } from '../../src/checker/key-space.ts';

/** Whether some order explains all answers. */
export function explains(history: History): boolean {
  const relevant = history.operations.filter(
    ({ request, outcome }) =>
      isKeyRequest(request) && (outcome.kind === 'ok' || (outcome.kind === 'unknown' && mayWrite(request))),
  );
  const space = new KeySpace(history.beginning.revision ?? 1, history.beginning.kvs ?? []);
  return place(relevant, space);
}

function place(open: readonly Operation[], space: KeySpace): boolean {
  if (open.every(({ outcome }) => outcome.kind === 'unknown')) return true;
  const firstReturn = Math.min(
    ...open.map(({ outcome, returned = Infinity }) => (outcome.kind === 'ok' ? returned : Infinity)),
  );
  for (const operation of open) {
    if (operation.called > firstReturn) continue;
    const { revision } = space;
    const rest = open.filter((other) => other !== operation);
    if (happens(operation, space) && place(rest, space)) return true;
    space.undoTo(revision);
  }
  return false;
}

function happens({ request, outcome }: Operation, space: KeySpace): boolean {
  if (!isKeyRequest(request)) return false;
  if (outcome.kind !== 'ok') {
    space.execute(request);
    return true;
  }
  if (!isKeyResponse(outcome.response)) return false;
  const header = outcome.response.revision ?? 0;
  const local = isLocal(request);
  if (local && header > space.revision) return false;
  const asked =
    local && request.kind === 'range' && (request.revision ?? 0) === 0
      ? { ...request, revision: header }
      : request;
  const { response } = space.execute(asked);
  if (response === undefined || (!local && header !== space.revision)) return false;
  return difference(request, response, outcome.response) === undefined;
}
