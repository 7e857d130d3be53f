/**
 * The door of prefixes' limits: a write of a client is reckoned, asked for, proposed and settled. Only what the caller
 * may write is limited: who would be refused anyway must not use up the rate of others; and the applier's refusal stays
 * the answer. It knows the limits of this member alone.
 */
import type { etcdserverpb } from '@keelson/proto';
import { RpcError, StatusCode } from '@keelson/rpc';
import type { ApplyResult } from '../apply/results.ts';
import type { StateMachine } from '../apply/state-machine.ts';
import { authorize } from '../auth/authorize.ts';
import type { Identity } from '../auth/identity.ts';
import { deleteNeeds, putNeeds, txnNeeds, type Need } from '../auth/needs.ts';
import { StoreError } from '../errors.ts';
import { deleteClaims, putClaims, txnClaims, type Claims } from '../prefix-limits/claims.ts';
import { refusalText, type PrefixLimits } from '../prefix-limits/prefix-limits.ts';

type Propose = () => Promise<ApplyResult>;

export class LimitedWrites {
  private readonly limits: PrefixLimits;
  private readonly state: Pick<StateMachine, 'auth' | 'lessor'>;

  constructor(limits: PrefixLimits, state: Pick<StateMachine, 'auth' | 'lessor'>) {
    this.limits = limits;
    this.state = state;
  }

  /** @throws RpcError RESOURCE_EXHAUSTED for a limit; else as propose */
  put(
    request: etcdserverpb.PutRequest,
    caller: Identity | undefined,
    propose: Propose,
  ): Promise<ApplyResult> {
    const claims = putClaims(this.limits.usage, request);
    return this.within(claims, caller, () => putNeeds(request), propose);
  }

  /** @throws as put */
  delete(
    request: etcdserverpb.DeleteRangeRequest,
    caller: Identity | undefined,
    propose: Propose,
  ): Promise<ApplyResult> {
    const claims = deleteClaims(this.limits.usage, request);
    return this.within(claims, caller, () => deleteNeeds(request), propose);
  }

  /** @throws as put */
  txn(
    request: etcdserverpb.TxnRequest,
    caller: Identity | undefined,
    propose: Propose,
  ): Promise<ApplyResult> {
    const claims = txnClaims(this.limits.usage, request);
    return this.within(claims, caller, () => txnNeeds(request), propose);
  }

  private within(
    claims: Claims,
    caller: Identity | undefined,
    needs: () => readonly Need[],
    propose: Propose,
  ): Promise<ApplyResult> {
    if (claims.list.length === 0 || !this.permitted(caller, needs)) return propose();
    const admitted = this.limits.admit(claims);
    if (typeof admitted !== 'function')
      throw new RpcError(StatusCode.ResourceExhausted, refusalText(admitted));
    return propose().finally(admitted);
  }

  /** As far as this member knows; what counts is decided where it is applied. */
  private permitted(caller: Identity | undefined, needs: () => readonly Need[]): boolean {
    const { auth, lessor } = this.state;
    if (!auth.enabled) return true;
    try {
      authorize(auth, lessor, caller, needs());
      return true;
    } catch (error) {
      if (error instanceof StoreError) return false;
      throw error;
    }
  }
}
