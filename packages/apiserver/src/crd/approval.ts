/**
 * Whether a definition may use one of Kubernetes' own groups (`*.k8s.io`, `*.kubernetes.io`): an annotation says where
 * that was agreed. Pure; texts and reasons are the original's.
 */

import type { KubeObject } from '../api/meta.ts';
import type { FieldErrors } from '../validation/field-errors.ts';
import { FieldPath } from '../validation/field-path.ts';
import { part, text } from '../validation/value.ts';
import type { Condition } from './conditions.ts';

const ANNOTATION = 'api-approved.kubernetes.io';
const SEE = 'see https://github.com/kubernetes/enhancements/pull/1111';

type Approval = 'approved' | 'bypassed' | 'invalid' | 'missing';

function isProtected(group: string): boolean {
  return ['k8s.io', 'kubernetes.io'].some((owner) => group === owner || group.endsWith(`.${owner}`));
}

function approvalOf({ metadata }: KubeObject): { readonly state: Approval; readonly text: string } {
  const value = metadata.annotations?.[ANNOTATION];
  if (value === undefined || value === '') {
    return {
      state: 'missing',
      text: `protected groups must have approval annotation "${ANNOTATION}", ${SEE}`,
    };
  }
  if (value.startsWith('unapproved')) {
    return { state: 'bypassed', text: `not approved: ${JSON.stringify(value)}` };
  }
  if (URL.canParse(value) && new URL(value).host !== '') {
    return { state: 'approved', text: `approved in ${value}` };
  }
  return {
    state: 'invalid',
    text: `protected groups must have approval annotation "${ANNOTATION}" with either a URL or a reason starting with "unapproved", ${SEE}`,
  };
}

export function checkApproval(errors: FieldErrors, object: KubeObject, old: KubeObject | undefined): void {
  if (!isProtected(text(part(object, 'spec'), 'group'))) return;
  const { state, text: told } = approvalOf(object);
  // What was never right may stay so.
  if (old !== undefined && approvalOf(old).state === state) return;
  const path = FieldPath.of('metadata', 'annotations').key(ANNOTATION);
  if (state === 'invalid') errors.invalid(path, object.metadata.annotations?.[ANNOTATION], told);
  if (state === 'missing') errors.required(path, told);
}

const REASONS: Readonly<Record<Approval, string>> = {
  approved: 'ApprovedAnnotation',
  bypassed: 'UnapprovedAnnotation',
  invalid: 'InvalidAnnotation',
  missing: 'MissingAnnotation',
};

/** The condition that says so; undefined for groups that nobody protects. */
export function approvalCondition(object: KubeObject): Condition | undefined {
  if (!isProtected(text(part(object, 'spec'), 'group'))) return undefined;
  const { state, text: message } = approvalOf(object);
  return {
    type: 'KubernetesAPIApprovalPolicyConformant',
    status: state === 'approved' ? 'True' : 'False',
    reason: REASONS[state],
    message,
  };
}
