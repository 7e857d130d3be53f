/**
 * MutatingAdmissionPolicy: changes in CEL that a write gets before it is validated, where bindings say so, one policy
 * after the other by name. One that wants to is asked once more when somebody behind it changed the object again.
 *
 * Modelled on apiserver's admission/plugin/policy/mutating, texts included.
 */

import { equalJson } from '../../api/equal.ts';
import type { KubeObject } from '../../api/meta.ts';
import { BaseEnvironment, CURRENT_VERSION } from '../../cel/environment.ts';
import { asJson } from '../../codec/object-codec.ts';
import type { AdmissionAttributes, MutatingPlugin, MutationPass } from '../admission.ts';
import type { PluginContext } from '../plugin-context.ts';
import { isExcluded } from '../policies/excluded.ts';
import { PolicyRequest, policyRefusal } from '../policies/invocations.ts';
import { matchConditions } from '../policies/match-conditions.ts';
import { mayConcern } from '../policies/match-resources.ts';
import {
  compileMutatingPolicy,
  mutated,
  MutationError,
  type MutatingPolicy,
} from '../policies/mutating-policy.ts';
import type { Binding } from '../policies/policy.ts';
import { policyErrorType, type PolicyContext } from '../policies/policy-context.ts';
import { PolicySource } from '../policies/policy-source.ts';
import { runSteps, type Steps } from '../policies/steps.ts';
import { textOf } from '../refusals.ts';
import type { Equivalent } from '../webhooks/resource-versions.ts';

/** What one request remembers between its rounds. */
interface Rounds {
  /** The object as this plugin left it. */
  output: KubeObject | undefined;
  /** Invocations that were made and want to be again if something changes behind them. */
  readonly waiting: Set<string>;
  /** Invocations of the second round. */
  readonly due: Set<string>;
}

export function mutatingAdmissionPolicy(context: PluginContext): MutatingPlugin | undefined {
  const { policies } = context;
  if (policies === undefined) return undefined;
  const { objects } = policies;
  let base: BaseEnvironment | undefined;
  const source = new PolicySource(objects.mutating, (object) => {
    base ??= new BaseEnvironment(CURRENT_VERSION);
    return compileMutatingPolicy(object, base);
  });
  const rounds = new WeakMap<object, Rounds>();
  return {
    name: 'MutatingAdmissionPolicy',
    handles: (operation) => operation !== 'DELETE',
    admit(attributes, pass) {
      if (objects.pending === undefined && source.hooks().length === 0) return attributes.object;
      if (isExcluded(attributes)) return attributes.object;
      let round = rounds.get(pass.request);
      if (round === undefined) {
        round = { output: undefined, waiting: new Set(), due: new Set() };
        rounds.set(pass.request, round);
      }
      return runSteps(new Dispatch(context, policies, attributes, pass, round).run(source));
    },
  };
}

interface Invocation {
  readonly policy: MutatingPolicy;
  readonly binding: Binding;
  readonly form: Equivalent;
  readonly param: KubeObject | undefined;
}

interface Failure {
  readonly text: string;
  readonly reason: 'Forbidden' | 'Invalid';
}

/** One request in one round. */
class Dispatch {
  private readonly context: PluginContext;
  private readonly policies: PolicyContext;
  private readonly attributes: AdmissionAttributes;
  private readonly pass: MutationPass;
  private readonly round: Rounds;
  private readonly request: PolicyRequest;
  private readonly failures: Failure[] = [];

  constructor(
    context: PluginContext,
    policies: PolicyContext,
    attributes: AdmissionAttributes,
    pass: MutationPass,
    round: Rounds,
  ) {
    this.context = context;
    this.policies = policies;
    this.attributes = attributes;
    this.pass = pass;
    this.round = round;
    this.request = new PolicyRequest(context, policies, attributes);
  }

  *run(source: PolicySource<MutatingPolicy>): Steps<KubeObject | undefined> {
    const { attributes, pass, round } = this;
    yield* this.request.untilReady(attributes);
    const invocations = yield* this.invocations(source);
    let { object } = attributes;
    if (invocations.length > 0) {
      if (pass.again && !sameObject(round.output, object)) makeDue(round);
      const namespace = yield* this.request.namespaceOf(attributes);
      for (const invocation of invocations) object = yield* this.invoke(invocation, object, namespace);
      round.output = object;
    }
    const [first] = this.failures;
    if (first === undefined) return object;
    const texts = this.failures.map(({ text }) => text);
    throw policyRefusal(attributes, texts, first.reason, { code: 403, message: first.text });
  }

  /** Chosen by the object as it came, before any of them changes it. */
  private *invocations(source: PolicySource<MutatingPolicy>): Steps<Invocation[]> {
    const { attributes, request } = this;
    const found: Invocation[] = [];
    for (const hook of source.hooks()) {
      const { policy, bindings } = hook;
      if (!mayConcern(policy.constraints, attributes)) continue;
      const matched = yield* request.formOf(policy, attributes, this.unusable);
      if (matched === undefined) continue;
      const { form } = matched;
      for (const binding of bindings) {
        const params = yield* request.paramsOf(hook, binding, attributes, matched.params, this.unusable);
        for (const param of params) found.push({ policy, binding, form, param });
      }
    }
    return found;
  }

  private *invoke(
    invocation: Invocation,
    object: KubeObject | undefined,
    namespace: KubeObject | undefined,
  ): Steps<KubeObject | undefined> {
    const { round, pass } = this;
    const { policy } = invocation;
    const matches = yield* this.matches(invocation, object);
    const key = keyOf(invocation);
    if (!matches || (pass.again && !round.due.has(key))) return object;
    let current = object;
    for (const mutation of policy.mutations) {
      if (current === undefined) break;
      current = yield* this.mutate(invocation, mutation, current, namespace);
    }
    if (!sameObject(object, current)) {
      makeDue(round);
      pass.repeat();
    }
    if (policy.reinvoked) round.waiting.add(key);
    return current;
  }

  private *matches(
    { policy, binding, form, param }: Invocation,
    object: KubeObject | undefined,
  ): Steps<boolean> {
    const { attributes, request, context } = this;
    if (policy.conditions.length === 0) return true;
    const shown = request.shown({ ...attributes, object }, form);
    const outcome = yield* matchConditions(
      policy.conditions,
      request.scope(attributes, { kind: form.kind, resource: attributes.resource }, shown, { params: param }),
      {
        name: policy.name,
        kind: 'policy',
        type: 'validate',
        operation: attributes.operation,
        failurePolicy: policy.failurePolicy,
      },
      context.conditions,
      policy.variables,
    );
    if (outcome.kind === 'error') this.failed(policy, binding, outcome.message, 'Invalid');
    return outcome.kind === 'match';
  }

  /** The object after the mutation; as it was where that failed. */
  private *mutate(
    { policy, binding, form, param }: Invocation,
    mutation: MutatingPolicy['mutations'][number],
    object: KubeObject,
    namespace: KubeObject | undefined,
  ): Steps<KubeObject> {
    const { attributes, request, policies } = this;
    const { versions, observer } = policies;
    const start = request.slices.seconds();
    const told = { policy: policy.name, binding: binding.name };
    const seconds = (): number => request.slices.seconds() - start;
    try {
      const shown = request.shown({ ...attributes, object }, form);
      const scope = request.scope(attributes, form, shown, { params: param, namespace });
      const next = yield* mutated(mutation, policy, scope, shown.object ?? object, form, versions);
      observer?.mutated({ ...told, error: 'no_error', seconds: seconds() });
      return next;
    } catch (error) {
      observer?.mutated({ ...told, error: policyErrorType(textOf(error)), seconds: seconds() });
      if (!(error instanceof MutationError)) throw error;
      this.failed(policy, binding, error.message, 'Invalid');
      return object;
    }
  }

  /** A policy or binding that cannot be used. */
  private readonly unusable = (policy: MutatingPolicy, binding: Binding | undefined, message: string): void =>
    this.failed(policy, binding, message, 'Forbidden');

  private failed(
    policy: MutatingPolicy,
    binding: Binding | undefined,
    message: string,
    reason: Failure['reason'],
  ): void {
    if (policy.failurePolicy === 'Ignore') return;
    const who =
      binding === undefined
        ? `policy ${JSON.stringify(policy.name)}`
        : `policy '${policy.name}' with binding '${binding.name}'`;
    this.failures.push({ text: `${who} denied request: ${message}`, reason });
  }
}

function keyOf({ policy, binding, param }: Invocation): string {
  const { namespace = '', name = '' } = param?.metadata ?? {};
  return `${policy.name}/${binding.name}/${namespace}/${name}`;
}

/** Something changed: those that were asked before it are to be asked again. */
function makeDue({ waiting, due }: Rounds): void {
  for (const key of waiting) due.add(key);
  waiting.clear();
}

function sameObject(a: KubeObject | undefined, b: KubeObject | undefined): boolean {
  return a === b || equalJson(a && asJson(a), b && asJson(b));
}
