/**
 * token-cleaner-controller: bootstrap tokens, which are Secrets in kube-system, are deleted when they have expired. Off
 * by default, as in the original.
 */

import {
  hasReason,
  isDeleting,
  isRecord,
  keyOf,
  splitKey,
  type KubeObject,
  type Outcome,
} from '@keelson/kube-client';

import type { Controller, ControllerParts } from '../controller.ts';
import { SECRETS } from '../resources.ts';
import { SimpleLoop } from '../simple-loop.ts';

export const BOOTSTRAP_TOKEN_TYPE = 'bootstrap.kubernetes.io/token';

export function tokenCleaner(parts: ControllerParts): Controller {
  const { client, clock, informers, logger } = parts;
  const secrets = informers.informer(SECRETS, {
    namespace: 'kube-system',
    fieldSelector: `type=${BOOTSTRAP_TOKEN_TYPE}`,
    purpose: 'expiration',
    // No token is kept that is not needed.
    transform: ({ metadata, data }) => ({
      metadata,
      expiration: isRecord(data) ? data['expiration'] : undefined,
    }),
  });
  const work = async (key: string, signal: AbortSignal): Promise<Outcome> => {
    const secret = secrets.get(key);
    if (secret === undefined || isDeleting(secret)) return 'done';
    const left = msLeft(secret, clock.nowMs());
    if (left === undefined) return 'done';
    if (left > 0) return { afterMs: left };
    const { namespace, name } = splitKey(key);
    const { uid } = secret.metadata;
    logger.info('a bootstrap token has expired', { secret: key });
    try {
      await client.delete(
        SECRETS,
        namespace,
        name,
        uid === undefined ? {} : { preconditions: { uid } },
        signal,
      );
    } catch (error) {
      // Gone, or another one by now, which is looked at by itself.
      if (!hasReason(error, 'NotFound', 'Conflict')) throw error;
    }
    return 'done';
  };
  const loop = new SimpleLoop(parts, { name: 'token_cleaner', informers: [secrets], work });
  const look = (secret: KubeObject): void => loop.queue.add(keyOf(secret));
  secrets.handle({ added: look, updated: look });
  return loop;
}

/** Until it expires; undefined for a token that never does. One that cannot be read has expired, as authentication has it. */
function msLeft(secret: KubeObject, nowMs: number): number | undefined {
  const data = secret['expiration'];
  if (typeof data !== 'string' || data === '') return undefined;
  const atMs = Date.parse(Buffer.from(data, 'base64').toString('utf8'));
  return Number.isNaN(atMs) ? 0 : atMs - nowMs;
}
