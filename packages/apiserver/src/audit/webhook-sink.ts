/**
 * Audit events sent to a server, as an EventList a batch: tried again with growing pauses, a few times. What answers
 * beyond 2xx for another reason than haste is not asked again.
 *
 * Modelled on apiserver's plugin/pkg/audit/webhook.
 */

import { writeJson } from '../codec/json-writer.ts';
import type { EventSink } from './backend.ts';
import { AUDIT_API_VERSION } from './event.ts';

export interface WebhookSinkOptions {
  /** Sends a body, answers with the code. @throws Error when nobody answered */
  readonly post: (body: Buffer) => Promise<number>;
  /** Resolves after so many ms, or sooner when the server stops. */
  readonly pause: (ms: number) => Promise<void>;
  /** --audit-webhook-initial-backoff. */
  readonly firstPauseMs: number;
  readonly close?: () => void;
}

const TRIES = 5;
const GROWTH = 1.5;

export function webhookSink({ post, pause, firstPauseMs, close }: WebhookSinkOptions): EventSink {
  return {
    async write(events) {
      const list = {
        kind: 'EventList',
        apiVersion: AUDIT_API_VERSION,
        metadata: {},
        items: events.map(({ object: { kind: _kind, apiVersion: _version, ...rest } }) => rest),
      };
      const body = Buffer.from(writeJson(list));
      let waitMs = firstPauseMs;
      for (let attempt = 1; ; attempt += 1) {
        let problem: unknown;
        try {
          const code = await post(body);
          if (code >= 200 && code < 300) return;
          problem = new Error(`the audit webhook answered ${code}`);
          if (code < 500 && code !== 429) throw new Refused(problem);
        } catch (error) {
          if (error instanceof Refused) throw error.cause;
          problem ??= error;
        }
        if (attempt === TRIES) throw problem;
        await pause(waitMs);
        waitMs *= GROWTH;
      }
    },
    ...(close === undefined ? {} : { close }),
  };
}

/** Not to be tried again. */
class Refused extends Error {
  constructor(cause: unknown) {
    super('refused', { cause });
  }
}
