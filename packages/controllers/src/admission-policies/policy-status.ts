/**
 * validatingadmissionpolicy-status-controller: what is wrong with a policy's expressions for the kinds that it names goes
 * into its status, once for each generation. Finding it is the API server's to do, so it comes as an argument.
 */

import {
  hasReason,
  isRecord,
  keyOf,
  splitKey,
  type KubeObject,
  type Outcome,
  type Resource,
} from '@keelson/kube-client';

import type { Controller, ControllerParts } from '../controller.ts';
import { SimpleLoop } from '../simple-loop.ts';

export interface PolicyWarning {
  readonly fieldRef: string;
  readonly warning: string;
}

/** What is wrong with a policy. */
export type PolicyTypeCheck = (policy: KubeObject) => readonly PolicyWarning[];

const POLICIES: Resource = {
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  resource: 'validatingadmissionpolicies',
};
const MANAGER = 'validatingadmissionpolicy-status';

export function policyStatus(parts: ControllerParts, check: PolicyTypeCheck): Controller {
  const { client, informers } = parts;
  const policies = informers.informer(POLICIES);
  const work = async (key: string, signal: AbortSignal): Promise<Outcome> => {
    const policy = policies.get(key);
    if (policy === undefined || isObserved(policy)) return 'done';
    const { name } = splitKey(key);
    const { generation = 0 } = policy.metadata;
    const expressionWarnings = check(policy);
    try {
      await client.patch(
        POLICIES,
        '',
        name,
        'apply',
        {
          apiVersion: 'admissionregistration.k8s.io/v1',
          kind: 'ValidatingAdmissionPolicy',
          metadata: { name },
          status: {
            observedGeneration: generation,
            typeChecking: expressionWarnings.length === 0 ? {} : { expressionWarnings },
          },
        },
        { subresource: 'status', fieldManager: MANAGER, force: true, signal },
      );
    } catch (error) {
      // Who is gone needs no status. An apply would make one that is not there, were it not for its subresource.
      if (!hasReason(error, 'NotFound')) throw error;
    }
    return 'done';
  };
  const loop = new SimpleLoop(parts, {
    name: 'validatingadmissionpolicy-status',
    informers: [policies],
    work,
  });
  const look = (policy: KubeObject): void => {
    if (!isObserved(policy)) loop.queue.add(keyOf(policy));
  };
  policies.handle({ added: look, updated: look });
  return loop;
}

function isObserved({ metadata, status }: KubeObject): boolean {
  const seen = isRecord(status) ? status['observedGeneration'] : undefined;
  const { generation } = metadata;
  return typeof generation !== 'number' || (typeof seen === 'number' && generation <= seen);
}
