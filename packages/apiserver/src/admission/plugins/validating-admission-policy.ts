/**
 * ValidatingAdmissionPolicy: rules in CEL that a write has to keep, where bindings say so. A rule that is broken refuses
 * the write, warns, or is noted in the audit event, as the binding wants it.
 *
 * Modelled on apiserver's admission/plugin/policy/validating, texts and annotations included.
 */

import { BaseEnvironment, CURRENT_VERSION } from '../../cel/environment.ts';
import { writeJson } from '../../codec/json-writer.ts';
import type { AdmissionAttributes, ValidatingPlugin } from '../admission.ts';
import type { PluginContext } from '../plugin-context.ts';
import { isExcluded } from '../policies/excluded.ts';
import { PolicyRequest, policyRefusal } from '../policies/invocations.ts';
import { mayConcern } from '../policies/match-resources.ts';
import type { Binding } from '../policies/policy.ts';
import { policyErrorType, type PolicyCheck, type PolicyContext } from '../policies/policy-context.ts';
import { PolicySource, type Hook } from '../policies/policy-source.ts';
import { runSteps, type Steps } from '../policies/steps.ts';
import {
  compileValidatingPolicy,
  evaluatePolicy,
  type AuditResult,
  type DenyReason,
  type PolicyDecision,
  type ValidatingPolicy,
} from '../policies/validating-policy.ts';

const FAILURE_KEY = 'validation.policy.admission.k8s.io/validation_failure';
const AUDIT_VALUE_BYTES_MAX = 10 * 1024;

export function validatingAdmissionPolicy(context: PluginContext): ValidatingPlugin | undefined {
  const { policies } = context;
  if (policies === undefined) return undefined;
  const { objects } = policies;
  let base: BaseEnvironment | undefined;
  const source = new PolicySource(objects.validating, (object) => {
    base ??= new BaseEnvironment(CURRENT_VERSION);
    return compileValidatingPolicy(object, base);
  });
  return {
    name: 'ValidatingAdmissionPolicy',
    handles: () => true,
    validate(attributes) {
      if (objects.pending === undefined && source.hooks().length === 0) return undefined;
      if (isExcluded(attributes)) return undefined;
      const ended = runSteps(new Dispatch(context, policies, attributes).run(source));
      return ended instanceof Promise ? ended : undefined;
    },
  };
}

interface Denial {
  readonly policy: string;
  readonly binding: string | undefined;
  readonly message: string;
  readonly reason: DenyReason;
}

/** One request. */
class Dispatch {
  private readonly context: PluginContext;
  private readonly policies: PolicyContext;
  private readonly attributes: AdmissionAttributes;
  private readonly request: PolicyRequest;
  private readonly denials: Denial[] = [];

  constructor(context: PluginContext, policies: PolicyContext, attributes: AdmissionAttributes) {
    this.context = context;
    this.policies = policies;
    this.attributes = attributes;
    this.request = new PolicyRequest(context, policies, attributes);
  }

  *run(source: PolicySource<ValidatingPolicy>): Steps<void> {
    const { attributes } = this;
    yield* this.request.untilReady(attributes);
    for (const hook of source.hooks()) {
      if (mayConcern(hook.policy.constraints, attributes)) yield* this.hook(hook);
    }
    const [first] = this.denials;
    if (first === undefined) return;
    const binding = first.binding === undefined ? '' : ` with binding '${first.binding}'`;
    const text = `ValidatingAdmissionPolicy '${first.policy}'${binding} denied request: ${first.message}`;
    throw policyRefusal(attributes, [text], first.reason);
  }

  private *hook(hook: Hook<ValidatingPolicy>): Steps<void> {
    const { attributes, request, context } = this;
    const { policy, bindings } = hook;
    const matched = yield* request.formOf(policy, attributes, this.unusable);
    if (matched === undefined) return;
    const { form } = matched;
    const shown = request.shown(attributes, form);
    const audits = new Map<string, string[]>();
    for (const binding of bindings) {
      const params = yield* request.paramsOf(hook, binding, attributes, matched.params, this.unusable);
      if (params.length === 0) continue;
      const namespace = yield* request.namespaceOf(attributes);
      for (const param of params) {
        const scope = request.scope(attributes, form, shown, { params: param, namespace });
        const conditionScope = request.scope(
          attributes,
          { kind: form.kind, resource: attributes.resource },
          shown,
          { params: param },
        );
        const { operation } = attributes;
        const result = yield* evaluatePolicy(policy, scope, conditionScope, operation, context.conditions);
        for (const [index, decision] of result.decisions.entries())
          this.decided(policy, binding, decision, index);
        for (const audit of result.audits) this.audited(policy, binding, audit, audits);
      }
    }
    for (const [key, values] of audits) attributes.annotate(`${policy.name}/${key}`, values.join(', '));
  }

  /** A policy or binding that cannot be used refuses what it would be asked about, unless it may fail. */
  private readonly unusable = (
    policy: ValidatingPolicy,
    binding: Binding | undefined,
    message: string,
  ): void => {
    if (policy.failurePolicy === 'Ignore') return;
    this.denials.push({ policy: policy.name, binding: binding?.name, message, reason: 'Invalid' });
  };

  private decided(policy: ValidatingPolicy, binding: Binding, decision: PolicyDecision, index: number): void {
    const { observer } = this.policies;
    const { message, reason, seconds } = decision;
    const check: PolicyCheck = {
      policy: policy.name,
      binding: binding.name,
      error: decision.evaluation === 'admit' ? 'no_error' : policyErrorType(message),
      seconds,
    };
    if (decision.action === 'admit') {
      if (decision.evaluation === 'error') observer?.validated(check, 'allow');
      return;
    }
    for (const action of binding.actions) {
      switch (action) {
        case 'Deny':
          this.denials.push({ policy: policy.name, binding: binding.name, message, reason });
          observer?.validated(check, 'deny');
          break;
        case 'Audit':
          this.attributes.annotate(FAILURE_KEY, failureText(policy, binding, message, index));
          observer?.validated(check, 'audit');
          break;
        case 'Warn':
          this.attributes.warn(
            `Validation failed for ValidatingAdmissionPolicy '${policy.name}' with binding '${binding.name}': ${message}`,
          );
          observer?.validated(check, 'warn');
          break;
      }
    }
  }

  private audited(
    policy: ValidatingPolicy,
    binding: Binding,
    { key, value, error = '', seconds }: AuditResult,
    audits: Map<string, string[]>,
  ): void {
    if (value !== undefined) {
      const shown = clipped(value);
      const values = audits.get(key);
      if (values === undefined) audits.set(key, [shown]);
      else if (!values.includes(shown)) values.push(shown);
      return;
    }
    this.denials.push({ policy: policy.name, binding: binding.name, message: error, reason: 'Invalid' });
    this.policies.observer?.validated(
      { policy: policy.name, binding: binding.name, error: policyErrorType(error), seconds },
      'deny',
    );
  }
}

function failureText(
  policy: ValidatingPolicy,
  { name, actions }: Binding,
  message: string,
  index: number,
): string {
  return writeJson([
    {
      message,
      policy: policy.name,
      binding: name,
      expressionIndex: index,
      validationActions: [...actions],
    },
  ]);
}

/** At most as many bytes as an annotation of the audit event may have. */
function clipped(value: string): string {
  const bytes = Buffer.from(value);
  return bytes.length <= AUDIT_VALUE_BYTES_MAX
    ? value
    : bytes.subarray(0, AUDIT_VALUE_BYTES_MAX).toString('utf8');
}
