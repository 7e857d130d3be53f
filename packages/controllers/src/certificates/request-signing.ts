/**
 * certificatesigningrequest-signing-controller: approved requests for the signers of kubernetes.io get their
 * certificate; one that a signer cannot grant is marked Failed and says why. Who holds the keys signs: that comes as a
 * function for each signer, and a signer without one is another's.
 *
 * Modelled on kubernetes' pkg/controller/certificates/signer.
 */

import { hasReason, keyOf, type KubeObject, type Outcome } from '@keelson/kube-client';

import type { Controller, ControllerParts } from '../controller.ts';
import { SimpleLoop } from '../simple-loop.ts';
import {
  CERTIFICATE_REQUESTS,
  certificateOf,
  clientError,
  hasTrue,
  kubeletClientError,
  kubeletServingError,
  SIGNER,
  specOf,
  timeText,
  withStatus,
  type ReadRequest,
  type RequestSpec,
  type SignerName,
} from './certificate-requests.ts';

/**
 * Makes a certificate.
 *
 * @param encoded the request, base64 of its PEM
 * @returns PEM
 */
export type SignRequest = (encoded: string, usages: readonly string[], durationMs: number) => string;

export interface SigningOptions {
  readonly read: ReadRequest;
  readonly signers: Readonly<Partial<Record<SignerName, SignRequest>>>;
  /** --cluster-signing-duration: the longest a certificate may be good for; a year unless said. */
  readonly durationMs?: number;
}

export const YEAR_MS = 365 * 24 * 3_600_000;
/** Twice what certificates are backdated: no request gets less. */
const DURATION_MIN_MS = 10 * 60_000;

export function requestSigning(parts: ControllerParts, options: SigningOptions): Controller {
  const { client, clock, informers } = parts;
  const { read, signers, durationMs = YEAR_MS } = options;
  const requests = informers.informer(CERTIFICATE_REQUESTS);
  const work = async (key: string, signal: AbortSignal): Promise<Outcome> => {
    const request = requests.get(key);
    if (request === undefined || !isWaiting(request)) return 'done';
    const spec = specOf(request);
    const sign = signerOf(signers, spec.signerName);
    if (sign === undefined) return 'done';
    const wrong = refusal(spec, read);
    const changed =
      wrong === undefined
        ? withStatus(request, {
            certificate: Buffer.from(
              sign(spec.request, spec.usages, lifetimeMs(spec.expirationSeconds, durationMs)),
            ).toString('base64'),
          })
        : withStatus(request, {
            condition: {
              type: 'Failed',
              status: 'True',
              reason: 'SignerValidationFailure',
              message: wrong,
              lastUpdateTime: timeText(clock.nowMs()),
            },
          });
    try {
      await client.update(CERTIFICATE_REQUESTS, '', changed, { subresource: 'status', signal });
    } catch (error) {
      // Gone, or changed meanwhile: then the watch will say so.
      if (!hasReason(error, 'NotFound', 'Conflict')) throw error;
    }
    return 'done';
  };
  const loop = new SimpleLoop(parts, { name: 'certificate_signing', informers: [requests], work });
  const look = (request: KubeObject): void => {
    if (isWaiting(request)) loop.queue.add(keyOf(request));
  };
  requests.handle({ added: look, updated: look });
  return loop;
}

/** Approved, and neither issued nor failed. */
function isWaiting(request: KubeObject): boolean {
  return (
    certificateOf(request) === '' &&
    hasTrue(request, 'Approved') &&
    !hasTrue(request, 'Denied') &&
    !hasTrue(request, 'Failed')
  );
}

function signerOf(signers: SigningOptions['signers'], name: string): SignRequest | undefined {
  const known = Object.values(SIGNER).find((one) => one === name);
  return known === undefined ? undefined : signers[known];
}

/** What stands against a certificate, in the original's words; a request to legacy-unknown may say anything. */
function refusal({ signerName, request, usages }: RequestSpec, read: ReadRequest): string | undefined {
  switch (signerName) {
    case SIGNER.client:
      return clientError(usages);
    case SIGNER.kubeletClient:
      return kubeletClientError(read(request), usages);
    case SIGNER.kubeletServing:
      return kubeletServingError(read(request), usages);
    default:
      return undefined;
  }
}

/** How long a certificate is good for: as asked, no longer than signers do, and no less than makes sense. */
export function lifetimeMs(expirationSeconds: number | undefined, mostMs: number): number {
  if (expirationSeconds === undefined) return mostMs;
  const askedMs = expirationSeconds * 1_000;
  if (askedMs > mostMs) return mostMs;
  return Math.max(askedMs, DURATION_MIN_MS);
}
