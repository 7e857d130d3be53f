/** What admission policies need beside other plugins: the policies there are, other forms of objects. Types only. */

import type { ResourceVersions } from '../webhooks/resource-versions.ts';
import type { PolicyObjects } from './policy-objects.ts';

export interface PolicyContext {
  readonly objects: PolicyObjects;
  readonly versions: ResourceVersions;
  readonly observer?: PolicyObserver;
}

/** What is counted; `apiserver_validating_admission_policy_*` and `apiserver_mutating_…` are made of it. */
export interface PolicyObserver {
  validated(check: PolicyCheck, action: 'allow' | 'deny' | 'audit' | 'warn'): void;
  mutated(check: PolicyCheck): void;
}

export interface PolicyCheck {
  readonly policy: string;
  readonly binding: string;
  readonly error: PolicyErrorType;
  readonly seconds: number;
}

export type PolicyErrorType = 'no_error' | 'compile_error' | 'out_of_budget' | 'invalid_error';

/** What went wrong, by its text. */
export function policyErrorType(message: string): PolicyErrorType {
  if (message.startsWith('compilation')) return 'compile_error';
  return message.startsWith('validation failed due to running out of cost budget')
    ? 'out_of_budget'
    : 'invalid_error';
}
