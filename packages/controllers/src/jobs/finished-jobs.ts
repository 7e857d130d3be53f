/**
 * ttl-after-finished-controller: a Job that has finished is deleted, with its Pods, when its spec.ttlSecondsAfterFinished
 * have passed. Before that the server is asked for the Job as it is now.
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
import { JOBS } from '../resources.ts';
import { SimpleLoop } from '../simple-loop.ts';

export function finishedJobs(parts: ControllerParts): Controller {
  const { client, clock, informers } = parts;
  const jobs = informers.informer(JOBS, { purpose: 'finished', transform: withoutTemplate });
  const work = async (key: string, signal: AbortSignal): Promise<Outcome> => {
    const kept = jobs.get(key);
    if (kept === undefined) return 'done';
    const early = msLeft(kept, clock.nowMs());
    if (early === undefined) return 'done';
    if (early > 0) return { afterMs: early };
    const { namespace, name } = splitKey(key);
    try {
      const job = await client.get(JOBS, namespace, name, { signal });
      const left = msLeft(job, clock.nowMs());
      if (left === undefined) return 'done';
      if (left > 0) return { afterMs: left };
      const { uid, resourceVersion } = job.metadata;
      const preconditions = {
        ...(uid === undefined ? {} : { uid }),
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
      };
      await client.delete(JOBS, namespace, name, { propagationPolicy: 'Foreground', preconditions }, signal);
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error;
    }
    return 'done';
  };
  const loop = new SimpleLoop(parts, { name: 'ttl_jobs_to_delete', informers: [jobs], work });
  const look = (job: KubeObject): void => {
    if (msLeft(job, clock.nowMs()) !== undefined) loop.queue.add(keyOf(job));
  };
  jobs.handle({ added: look, updated: look });
  return loop;
}

/** Until the Job is to go, ms, 0 or less when that is past; undefined for one that is not to go by itself. */
function msLeft(job: KubeObject, nowMs: number): number | undefined {
  const spec = isRecord(job['spec']) ? job['spec'] : {};
  const seconds = spec['ttlSecondsAfterFinished'];
  if (typeof seconds !== 'number' || isDeleting(job)) return undefined;
  const finishedMs = finishedAt(job);
  return finishedMs === undefined ? undefined : finishedMs + seconds * 1_000 - nowMs;
}

/** When the Job completed or failed; undefined while it runs. */
function finishedAt(job: KubeObject): number | undefined {
  const status = isRecord(job['status']) ? job['status'] : {};
  const conditions: readonly unknown[] = Array.isArray(status['conditions']) ? status['conditions'] : [];
  for (const condition of conditions) {
    if (!isRecord(condition) || condition['status'] !== 'True') continue;
    if (condition['type'] !== 'Complete' && condition['type'] !== 'Failed') continue;
    const time = condition['lastTransitionTime'];
    const atMs = typeof time === 'string' ? Date.parse(time) : Number.NaN;
    if (!Number.isNaN(atMs)) return atMs;
  }
  return undefined;
}

/** What this loop reads of a Job. */
function withoutTemplate({ metadata, spec, status }: KubeObject): KubeObject {
  const { name = '', namespace = '', uid = '', deletionTimestamp } = metadata;
  const seconds = isRecord(spec) ? spec['ttlSecondsAfterFinished'] : undefined;
  const conditions = isRecord(status) ? status['conditions'] : undefined;
  return {
    metadata: { name, namespace, uid, ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }) },
    spec: { ttlSecondsAfterFinished: seconds },
    status: { conditions },
  };
}
