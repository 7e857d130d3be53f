/** Calls of webhooks and of functions under the eyes of the metrics. */

import type { Clock } from '@keelson/base';

import { ApiError } from '../../api/status.ts';
import type { AdmissionAttributes } from '../admission.ts';
import { CallFailed } from './call-webhook.ts';
import type { Webhook } from './webhook.ts';
import type { WebhookCall, WebhookObserver, WebhookType } from './webhook-context.ts';

const OK = 200;

/** Begins to time a call. @returns what is told of it when it ends, by its code and whether the request was refused */
export function timedCall(
  clock: Pick<Clock, 'monotonicMs'>,
  { name, type, operation }: Pick<WebhookCall, 'name' | 'type' | 'operation'>,
): (code: number, rejected: boolean) => WebhookCall {
  const startMs = clock.monotonicMs();
  return (code, rejected) => {
    const seconds = (clock.monotonicMs() - startMs) / 1_000;
    return { name, type, operation, code, rejected, seconds };
  };
}

/** Does it, and tells the observer how it ended. */
export async function watched<Result>(
  observer: WebhookObserver | undefined,
  clock: Pick<Clock, 'monotonicMs'>,
  { name, failurePolicy }: Webhook,
  { operation, signal }: AdmissionAttributes,
  type: WebhookType,
  act: () => Promise<Result>,
): Promise<Result> {
  const call = timedCall(clock, { name, type, operation });
  try {
    const result = await act();
    observer?.called(call(OK, false));
    return result;
  } catch (error) {
    if (error instanceof CallFailed) {
      const ended = call(error.code, failurePolicy === 'Fail');
      // A client that went away is nobody's failure.
      if (ended.rejected && !signal.aborted) observer?.rejected(ended, 'calling_webhook_error');
      observer?.called(ended);
    } else if (error instanceof ApiError && error.reason !== 'InternalError') {
      observer?.rejected(call(error.code, true), 'no_error');
      observer?.called(call(error.code, true));
    } else {
      observer?.rejected(call(0, true), 'apiserver_internal_error');
      observer?.called(call(0, true));
    }
    throw error;
  }
}
