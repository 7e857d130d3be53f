/**
 * The filter that asks whether the request may be done at all, before its handler runs and its body is read.
 * Writes what was decided, and why, into the audit event.
 *
 * Modelled on apiserver's WithAuthorization.
 */

import { assert } from '@keelson/base';

import type { Filter } from '../api/exchange.ts';
import type { Authorizer } from '../api/user-info.ts';
import type { DecisionObserver } from './access-metrics.ts';
import { attributesOf } from './attributes.ts';
import { forbiddenRequest } from './forbidden.ts';

const DECISION = 'authorization.k8s.io/decision';
const REASON = 'authorization.k8s.io/reason';

/** Told what was decided, and by which clock how long it took. */
export interface Metered {
  readonly decided: DecisionObserver;
  readonly monotonicMs: () => number;
}

/** Lets a request pass that the authorizer allows; every other answer of it is a refusal. */
export function authorize(authorizer: Authorizer, metered?: Metered): Filter {
  return async (request, next) => {
    const { user, auditAnnotations } = request.context;
    assert(user !== undefined, 'a request reaches authorization without a user');
    const attributes = attributesOf(user, request.info);
    const startMs = metered?.monotonicMs() ?? 0;
    const { kind, reason } = await authorizer.authorize(attributes);
    metered?.decided(kind, (metered.monotonicMs() - startMs) / 1_000);
    auditAnnotations.set(DECISION, kind === 'allow' ? 'allow' : 'forbid');
    auditAnnotations.set(REASON, reason);
    if (kind !== 'allow') throw forbiddenRequest(attributes, reason);
    return next(request);
  };
}
