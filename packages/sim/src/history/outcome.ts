/**
 * Which failures say that the request did nothing, now and later (law K8), by gRPC's code and etcd's text. All
 * recorders ask here, so that one table decides what a checker takes for certain.
 */
import type { Outcome } from './record.ts';

const DEFINITE_CODES: ReadonlySet<string> = new Set([
  'InvalidArgument',
  'NotFound',
  'AlreadyExists',
  'FailedPrecondition',
  'OutOfRange',
  'Unimplemented',
  'PermissionDenied',
  'Unauthenticated',
]);

/** Refusals that are certain although their code is not: etcd sends them as Unknown or ResourceExhausted. */
const DEFINITE_TEXTS: ReadonlySet<string> = new Set([
  'etcdserver: too many requests',
  'etcdserver: request is too large',
  'etcdserver: re-configuration failed due to not enough started members',
]);

/**
 * @param code gRPC's name of it, as 'InvalidArgument'
 * @param unsent the request certainly never left the client
 */
export function failureOutcome(code: string, text: string, unsent = false): Outcome {
  // "database space exceeded" is not in the list: the request that finds the space gone is applied and refused.
  const definite = unsent || DEFINITE_CODES.has(code) || DEFINITE_TEXTS.has(text);
  return { kind: definite ? 'refused' : 'unknown', code, text };
}
