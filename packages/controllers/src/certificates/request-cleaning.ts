/**
 * certificatesigningrequest-cleaner-controller: requests that were settled an hour ago go, unsettled ones after a day, and
 * those whose certificate has ended. Each is looked at when its time comes; the original looks at all once an hour.
 *
 * Modelled on kubernetes' pkg/controller/certificates/cleaner.
 */

import { hasReason, isDeleting, keyOf, type KubeObject, type Outcome } from '@keelson/kube-client';

import type { Controller, ControllerParts } from '../controller.ts';
import { SimpleLoop } from '../simple-loop.ts';
import { CERTIFICATE_REQUESTS, certificateOf, conditionsOf } from './certificate-requests.ts';

const HOUR_MS = 3_600_000;
const SETTLED_MS = HOUR_MS;
const PENDING_MS = 24 * HOUR_MS;

/** @param endOf when a certificate (PEM) ends, ms; undefined when it cannot be read */
export function requestCleaning(
  parts: ControllerParts,
  endOf: (certificate: string) => number | undefined,
): Controller {
  const { client, clock, informers, logger } = parts;
  const requests = informers.informer(CERTIFICATE_REQUESTS);
  const work = async (key: string, signal: AbortSignal): Promise<Outcome> => {
    const request = requests.get(key);
    if (request === undefined || isDeleting(request)) return 'done';
    const dueMs = dueAt(request, endOf);
    if (dueMs === undefined) return 'done';
    const leftMs = dueMs - clock.nowMs();
    if (leftMs > 0) return { afterMs: Math.min(leftMs, HOUR_MS) };
    const { uid } = request.metadata;
    logger.debug('a request for a certificate has served its time', { request: key });
    try {
      const only = uid === undefined ? {} : { preconditions: { uid } };
      await client.delete(CERTIFICATE_REQUESTS, '', key, only, signal);
    } catch (error) {
      if (!hasReason(error, 'NotFound', 'Conflict')) throw error;
    }
    return 'done';
  };
  const loop = new SimpleLoop(parts, { name: 'certificate_cleaning', informers: [requests], work });
  const look = (request: KubeObject): void => loop.queue.add(keyOf(request));
  requests.handle({ added: look, updated: look });
  return loop;
}

/** When a request is to go, ms; undefined: nobody knows yet. */
export function dueAt(
  request: KubeObject,
  endOf: (certificate: string) => number | undefined,
): number | undefined {
  const issued = certificateOf(request);
  const conditions = conditionsOf(request);
  const times: number[] = [];
  if (conditions.length === 0) times.push(timeOf(request.metadata.creationTimestamp) + PENDING_MS);
  for (const condition of conditions) {
    const changedMs = timeOf(condition['lastUpdateTime']);
    if (condition['type'] === 'Approved') {
      times.push(changedMs + (issued === '' ? PENDING_MS : SETTLED_MS));
      if (issued !== '') times.push(endOf(Buffer.from(issued, 'base64').toString('utf8')) ?? Number.NaN);
    } else times.push(changedMs + SETTLED_MS);
  }
  const known = times.filter((time) => !Number.isNaN(time));
  return known.length === 0 ? undefined : Math.min(...known);
}

function timeOf(value: unknown): number {
  return typeof value === 'string' ? Date.parse(value) : Number.NaN;
}
