/**
 * certificatesigningrequest-approving-controller: requests of kubelets for client certificates are approved when the
 * API server says that who asks may have them (`create` of certificatesigningrequests/nodeclient or /selfnodeclient).
 *
 * Modelled on kubernetes' pkg/controller/certificates/approver.
 */

import {
  hasReason,
  isRecord,
  keyOf,
  type KubeObject,
  type Outcome,
  type Resource,
} from '@keelson/kube-client';

import type { Controller, ControllerParts } from '../controller.ts';
import { SimpleLoop } from '../simple-loop.ts';
import {
  CERTIFICATE_REQUESTS,
  certificateOf,
  conditionsOf,
  kubeletClientError,
  SIGNER,
  specOf,
  timeText,
  withStatus,
  type ReadRequest,
} from './certificate-requests.ts';

const REVIEWS: Resource = { group: 'authorization.k8s.io', version: 'v1', resource: 'subjectaccessreviews' };

interface Recognized {
  /** Of certificatesigningrequests: who may create it gets the certificate. */
  readonly subresource: 'selfnodeclient' | 'nodeclient';
  readonly message: string;
}

const SELF: Recognized = {
  subresource: 'selfnodeclient',
  message: 'Auto approving self kubelet client certificate after SubjectAccessReview.',
};
const OTHER: Recognized = {
  subresource: 'nodeclient',
  message: 'Auto approving kubelet client certificate after SubjectAccessReview.',
};

export function requestApproval(parts: ControllerParts, read: ReadRequest): Controller {
  const { client, clock, informers, logger } = parts;
  const requests = informers.informer(CERTIFICATE_REQUESTS);

  const mayHave = async (
    request: KubeObject,
    { subresource }: Recognized,
    signal: AbortSignal,
  ): Promise<boolean> => {
    const spec = isRecord(request['spec']) ? request['spec'] : {};
    const { username: user, uid, groups, extra } = spec;
    const answer = await client.create(
      REVIEWS,
      '',
      {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        metadata: {},
        spec: {
          user,
          uid,
          groups,
          extra,
          resourceAttributes: {
            group: CERTIFICATE_REQUESTS.group,
            resource: CERTIFICATE_REQUESTS.resource,
            version: '*',
            verb: 'create',
            subresource,
          },
        },
      },
      { signal },
    );
    return isRecord(answer['status']) && answer['status']['allowed'] === true;
  };

  const work = async (key: string, signal: AbortSignal): Promise<Outcome> => {
    const request = requests.get(key);
    if (request === undefined || !isUndecided(request)) return 'done';
    const recognized = recognize(request, read);
    for (const one of recognized) {
      if (!(await mayHave(request, one, signal))) continue;
      const condition = {
        type: 'Approved',
        status: 'True',
        reason: 'AutoApproved',
        message: one.message,
        lastUpdateTime: timeText(clock.nowMs()),
      };
      try {
        await client.update(CERTIFICATE_REQUESTS, '', withStatus(request, { condition }), {
          subresource: 'approval',
          signal,
        });
      } catch (error) {
        if (!hasReason(error, 'NotFound', 'Conflict')) throw error;
      }
      return 'done';
    }
    if (recognized.length === 0) return 'done';
    logger.debug('a request for a certificate is recognized, but who asks may not have it', {
      request: key,
      tried: recognized.map(({ subresource }) => subresource).join(' '),
    });
    // Permission may come later.
    return 'retry';
  };
  const loop = new SimpleLoop(parts, { name: 'certificate_approving', informers: [requests], work });
  const look = (request: KubeObject): void => {
    if (isUndecided(request)) loop.queue.add(keyOf(request));
  };
  requests.handle({ added: look, updated: look });
  return loop;
}

function isUndecided(request: KubeObject): boolean {
  return (
    certificateOf(request) === '' &&
    !conditionsOf(request).some((one) => one['type'] === 'Approved' || one['type'] === 'Denied')
  );
}

/** What a request may be approved as, in the order in which it is tried. */
function recognize(request: KubeObject, read: ReadRequest): Recognized[] {
  const spec = specOf(request);
  if (spec.signerName !== SIGNER.kubeletClient) return [];
  const names = read(spec.request);
  if (kubeletClientError(names, spec.usages) !== undefined) return [];
  return spec.username === names.commonName ? [SELF, OTHER] : [OTHER];
}
