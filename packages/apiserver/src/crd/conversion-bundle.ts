/**
 * Whether the certificates that a conversion webhook is trusted by can be read. A definition may be made with others, but
 * is not established with them, and one that is established cannot be given such. Pure; texts are the original's.
 */

import type { JsonObject } from '../api/json.ts';
import type { KubeObject } from '../api/meta.ts';
import { part, text } from '../validation/value.ts';
import { isConditionTrue, type Condition } from './conditions.ts';

const BLOCK = /-----BEGIN ([^\n]*?)-----\s*\n([\s\S]*?)-----END \1-----/g;
const SEQUENCE = 0x30;

/** @param bundle in base64 @returns why it is none; undefined also where nothing is given */
export function bundleError(bundle: string): string | undefined {
  if (bundle === '') return undefined;
  const blocks = [...Buffer.from(bundle, 'base64').toString('latin1').matchAll(BLOCK)];
  const certificates = blocks.filter(([, type]) => type === 'CERTIFICATE');
  const wrong = (why: string): string => `unable to load root certificates: ${why}`;
  if (blocks.length === 0) return wrong('unable to parse bytes as PEM block');
  if (certificates.length === 0) return wrong('no valid certificate authority data seen');
  if (certificates.some(([, , body]) => Buffer.from(body, 'base64').at(0) !== SEQUENCE)) {
    return wrong('failed to parse certificate: x509: malformed certificate');
  }
  return undefined;
}

function bundleOf(spec: JsonObject): string {
  return text(part(part(part(spec, 'conversion'), 'webhook'), 'clientConfig'), 'caBundle');
}

/** What was not served yet, or was wrong before, may be wrong. */
export function mayBeWrong(old: KubeObject | undefined): boolean {
  if (old === undefined || !isConditionTrue(old, 'Established')) return true;
  return bundleError(bundleOf(part(old, 'spec'))) !== undefined;
}

/** Whether a definition that is not served yet comes to be. */
export function establishment(crd: KubeObject, accepted: boolean): Condition {
  const not = { type: 'Established', status: 'False' } as const;
  if (!accepted) return { ...not, reason: 'NotAccepted', message: 'not all names are accepted' };
  if (bundleError(bundleOf(part(crd, 'spec'))) !== undefined) {
    return { ...not, reason: 'InvalidCABundle', message: 'The conversion webhook CABundle is invalid' };
  }
  return {
    type: 'Established',
    status: 'True',
    reason: 'InitialNamesAccepted',
    message: 'the initial names have been accepted',
  };
}
