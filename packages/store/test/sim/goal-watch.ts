/** Goals that an answer, or a refusal, shows to be reached. */
import type { Request, Response, TxnOp } from '@keelson/sim';
import type { Goal } from './goals.ts';
import type { SimMember } from './member.ts';

const OF_KIND: Partial<Record<Request['kind'], Goal>> = {
  authEnable: 'auth enabled',
  authDisable: 'auth disabled',
  defragment: 'defragmented under load',
};

export function goalOfAnswer(request: Request, response: Response, _member: SimMember): Goal | undefined {
  if (request.kind === 'txn' && response.kind === 'txn') {
    if (holdsTxn(request.then) || holdsTxn(request.else)) return 'txn in a txn';
    return response.succeeded === true ? undefined : 'txn that failed its compare';
  }
  if (request.kind === 'range' && response.kind === 'range')
    return request.revision !== undefined && request.revision < (response.revision ?? 0)
      ? 'read of a past revision'
      : undefined;
  if (request.kind === 'alarm' && request.action === 'deactivate' && response.kind === 'alarm')
    return (response.names?.length ?? 0) > 0 ? 'NOSPACE disarmed' : undefined;
  return OF_KIND[request.kind];
}

function holdsTxn(ops: readonly TxnOp[] | undefined): boolean {
  return ops?.some((op) => op.kind === 'txn') === true;
}

const OF_TEXT: ReadonlyMap<string, Goal> = new Map<string, Goal>([
  ['etcdserver: mvcc: required revision has been compacted', 'read of a compacted revision refused'],
  ['etcdserver: request is too large', 'request too large refused'],
  ['etcdserver: too many requests', 'write refused for the apply gap'],
  ['etcdserver: permission denied', 'permission denied'],
  ['etcdserver: revision of auth store is old', 'auth revision mismatch at apply'],
  ['etcdserver: invalid auth token', 'token of a lost member refused'],
]);

export function goalOfFailure(request: Request, text: string): Goal | undefined {
  const goal = OF_TEXT.get(text);
  if (goal === 'read of a compacted revision refused' && request.kind !== 'range') return undefined;
  return goal;
}
