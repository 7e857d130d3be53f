/**
 * Which policies are to be asked about a request, under which binding and with which parameter: what validating and
 * mutating ones have in common. A policy or binding that cannot be used is told to the one who asks.
 *
 * Modelled on apiserver's admission/plugin/policy/generic dispatcher.
 */

import { ApiError, forbidden } from '../../api/status.ts';
import type { KubeObject } from '../../api/meta.ts';
import { Slices } from '../../api/sliced.ts';
import type { AdmissionAttributes } from '../admission.ts';
import type { PluginContext } from '../plugin-context.ts';
import { refusal, textOf } from '../refusals.ts';
import type { Equivalent } from '../webhooks/resource-versions.ts';
import { matchedForm, namespaceNamed, type MatchParts } from './match-resources.ts';
import { collectParams, ConfigurationError, paramResource, type ParamResource } from './params.ts';
import type { Binding, Policy } from './policy.ts';
import type { PolicyContext } from './policy-context.ts';
import type { Hook } from './policy-source.ts';
import { Decisions, scopeOf, type Scope } from './scope.ts';
import { waitFor, type Steps } from './steps.ts';

/** How long a request waits for policies to be known, at the start of a server. */
const READY_MS = 10_000;

/** What is wrong with a policy or one of its bindings, as the original says it. */
export type ConfigurationFailure<P extends Policy> = (
  policy: P,
  binding: Binding | undefined,
  message: string,
) => void;

/** One request's way through policies: what was asked for once is kept. */
export class PolicyRequest {
  readonly slices: Slices;
  readonly decisions: Decisions;
  private readonly parts: MatchParts;
  private readonly context: PluginContext;
  private readonly policies: PolicyContext;

  constructor(context: PluginContext, policies: PolicyContext, { user, signal }: AdmissionAttributes) {
    this.context = context;
    this.policies = policies;
    const { clock, turns } = context;
    const sinceMs = clock.monotonicMs();
    this.slices = new Slices(clock, () => turns.take(user?.name ?? '', sinceMs), signal);
    this.decisions = new Decisions(context.authorizer);
    this.parts = { objects: policies.objects, lookup: context.lookup, versions: policies.versions };
  }

  /** Waits until policies are known. @throws ApiError Forbidden, when that takes too long */
  *untilReady(attributes: AdmissionAttributes): Steps<void> {
    const { pending } = this.policies.objects;
    if (pending === undefined) return;
    const { clock } = this.context;
    const { signal } = attributes;
    const ready = yield* waitFor(
      new Promise<boolean>((resolve) => {
        const timer = clock.setTimer(READY_MS, () => end(false));
        const ended = (): void => end(false);
        const end = (known: boolean): void => {
          timer.cancel();
          signal.removeEventListener('abort', ended);
          resolve(known);
        };
        signal.addEventListener('abort', ended);
        if (signal.aborted) ended();
        else void pending.then(() => end(true));
      }),
    );
    if (!ready) throw refusal(attributes, new Error('not yet ready to handle request'));
  }

  /** The form in which a policy is asked about the request; undefined: it is not. */
  *formOf<P extends Policy>(
    policy: P,
    attributes: AdmissionAttributes,
    fail: ConfigurationFailure<P>,
  ): Steps<{ readonly form: Equivalent; readonly params: ParamResource | undefined } | undefined> {
    try {
      const form = yield* matchedForm(policy.constraints, attributes, this.parts);
      if (form === undefined) return undefined;
      const { paramKind } = policy;
      return { form, params: paramKind && paramResource(paramKind, this.context.lookup) };
    } catch (error) {
      fail(policy, undefined, `failed to configure policy: ${configurationText(error)}`);
      return undefined;
    }
  }

  /** The parameters with which a binding has its policy asked; none: it is not. */
  *paramsOf<P extends Policy>(
    { policy }: Hook<P>,
    binding: Binding,
    attributes: AdmissionAttributes,
    params: ParamResource | undefined,
    fail: ConfigurationFailure<P>,
  ): Steps<readonly (KubeObject | undefined)[]> {
    try {
      const { resources, paramRef } = binding;
      if (resources !== undefined) {
        const form = yield* matchedForm(resources, attributes, this.parts);
        if (form === undefined) return [];
      }
      const { lookup, versions } = this.parts;
      return yield* collectParams(params, paramRef, attributes.namespace, lookup, versions);
    } catch (error) {
      fail(policy, binding, `failed to configure binding: ${configurationText(error)}`);
      return [];
    }
  }

  /** The namespace an object lies in; undefined for what lies in none. @throws ApiError */
  *namespaceOf({ namespace, kind }: AdmissionAttributes): Steps<KubeObject | undefined> {
    const isNamespace = kind.kind === 'Namespace' && kind.version === 'v1' && kind.group === '';
    if (namespace === '' || isNamespace) return undefined;
    return yield* namespaceNamed(namespace, this.parts);
  }

  /** What expressions see. @param of the namespace is not shown to conditions */
  scope(
    attributes: AdmissionAttributes,
    form: Equivalent,
    shown: Pick<AdmissionAttributes, 'object' | 'oldObject'>,
    of: { readonly params?: KubeObject | undefined; readonly namespace?: KubeObject | undefined },
  ): Scope {
    const { decisions, slices } = this;
    return scopeOf({ attributes, form, ...shown, ...of, decisions, slices });
  }

  /** The objects of a request in a form. */
  shown(
    { object, oldObject }: AdmissionAttributes,
    form: Equivalent,
  ): Pick<AdmissionAttributes, 'object' | 'oldObject'> {
    const { versions } = this.policies;
    return {
      object: object && versions.show(object, form),
      oldObject: oldObject && versions.show(oldObject, form),
    };
  }
}

/** @throws what is no mistake in the configuration */
function configurationText(error: unknown): string {
  if (error instanceof ApiError || error instanceof ConfigurationError) return textOf(error);
  throw error;
}

/** The refusal of a policy: Forbidden about the object, with another reason, and the text once more as a cause. */
export function policyRefusal(
  attributes: AdmissionAttributes,
  texts: readonly string[],
  reason: 'Forbidden' | 'Invalid' | 'RequestEntityTooLarge' | 'Unauthorized',
  said: { readonly code?: number; readonly message?: string } = {},
): ApiError {
  const { status } = refusal(attributes, new Error(texts[0]));
  return new ApiError({
    code: said.code ?? CODES[reason],
    reason,
    message: said.message ?? status.message,
    details: {
      ...(status.details ?? forbidden(attributes.resource, attributes.name, '').status.details),
      causes: texts.map((text) => ({ message: text })),
    },
  });
}

const CODES = { Forbidden: 403, Invalid: 422, RequestEntityTooLarge: 413, Unauthorized: 401 } as const;
