/**
 * The filter that asks whether the request may be done at all, before its handler runs and its body is read.
 * Writes what was decided, and why, into the audit event. A question that could not be answered is no refusal: 500.
 *
 * Modelled on apiserver's WithAuthorization.
 */

import { assert, goQuote } from '@keelson/base';

import type { Filter } from '../api/exchange.ts';
import { plainText } from '../api/plain-text.ts';
import type { Authorizer } from '../api/user-info.ts';
import type { DecisionObserver } from './access-metrics.ts';
import { attributesOf } from './attributes.ts';
import { escapeMarkup, forbiddenRequest } from './forbidden.ts';

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
    const { kind, reason, error } = await authorizer.authorize(attributes);
    const failed = kind !== 'allow' && error !== undefined;
    metered?.decided(failed ? 'error' : kind, (metered.monotonicMs() - startMs) / 1_000);
    if (failed) {
      // Nobody said no: an authorizer that should have been asked could not be.
      auditAnnotations.set(REASON, 'internal error');
      const target = goQuote(request.context.target ?? request.path);
      return plainText(500, escapeMarkup(`Internal Server Error: ${target}: ${error}\n`));
    }
    auditAnnotations.set(DECISION, kind === 'allow' ? 'allow' : 'forbid');
    auditAnnotations.set(REASON, reason);
    if (kind !== 'allow') throw forbiddenRequest(attributes, reason);
    return next(request);
  };
}
