/**
 * How plugins say no: Forbidden about the object of the request, and the plain errors that the original lets
 * through as they are. Texts as apiserver's admission/errors.go.
 */

import { ApiError, forbidden, hasReason } from '../api/status.ts';
import type { AdmissionAttributes } from './admission.ts';

/** Forbidden, naming the object: its name, else what its name is to begin with. */
export function refusal(attributes: AdmissionAttributes, cause: unknown): ApiError {
  if (hasReason(cause, 'Forbidden')) return cause;
  const { group, resource } = attributes.resource;
  return forbidden({ group, resource }, nameOf(attributes), textOf(cause));
}

function nameOf({ name, object }: AdmissionAttributes): string {
  if (name !== '') return name;
  const { name: own = '', generateName = '' } = object?.metadata ?? {};
  return own || generateName || 'Unknown';
}

/** An error without a reason: the original answers it as a bare 500. */
export function plainError(message: string): ApiError {
  return new ApiError({ code: 500, reason: '', message });
}

export function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

/** Several texts as Go's aggregate of errors shows them: repeated ones once, in brackets from two on. */
export function aggregateText(texts: readonly string[]): string {
  const distinct = [...new Set(texts)];
  return distinct.length === 1 ? distinct[0] : `[${distinct.join(', ')}]`;
}
