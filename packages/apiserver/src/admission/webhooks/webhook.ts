/**
 * Webhooks as configurations describe them, in the order in which they are asked: configurations by name, those of one
 * configuration as they stand. Read once per configuration object. Pure.
 *
 * Modelled on apiserver's admission/plugin/webhook accessors and admission/configuration.
 */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { requirementsOf, SelectorError, type Requirement } from '../../api/selectors.ts';
import { readSelector } from '../../validation/labels.ts';
import { countOf, parts, part, partOf, text, texts } from '../../validation/value.ts';

export interface Webhook {
  readonly name: string;
  readonly configuration: string;
  /** Tells it from all others: `configuration/name/0`. */
  readonly id: string;
  readonly clientConfig: JsonObject;
  readonly rules: readonly Rule[];
  readonly failurePolicy: 'Fail' | 'Ignore';
  readonly matchPolicy: 'Equivalent' | 'Exact';
  /** The text of what is wrong with a selector stands in for it. */
  readonly namespaceSelector: readonly Requirement[] | string;
  readonly objectSelector: readonly Requirement[] | string;
  readonly sideEffects: string;
  readonly timeoutSeconds: number;
  readonly reviewVersions: readonly string[];
  readonly matchConditions: readonly JsonObject[];
  /** Only of mutating ones. */
  readonly reinvoked: boolean;
}

export interface Rule {
  readonly operations: readonly string[];
  readonly apiGroups: readonly string[];
  readonly apiVersions: readonly string[];
  readonly resources: readonly string[];
  readonly scope: string;
}

const TIMEOUT_SECONDS = 10;

/** Webhooks by configuration object: what does not change is not read again. */
export class WebhookReader {
  private readonly known = new WeakMap<KubeObject, readonly Webhook[]>();

  read(configurations: readonly KubeObject[]): readonly Webhook[] {
    return configurations
      .toSorted((a, b) => ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1))
      .flatMap((configuration) => {
        const known = this.known.get(configuration);
        if (known !== undefined) return known;
        const found = webhooksOf(configuration);
        this.known.set(configuration, found);
        return found;
      });
  }
}

function webhooksOf(configuration: KubeObject): Webhook[] {
  const { name: owner = '' } = configuration.metadata;
  const seen = new Map<string, number>();
  return parts(configuration, 'webhooks').map((hook) => {
    const name = text(hook, 'name');
    const number = seen.get(name) ?? 0;
    seen.set(name, number + 1);
    return {
      name,
      configuration: owner,
      id: `${owner}/${name}/${number}`,
      clientConfig: part(hook, 'clientConfig'),
      rules: rulesOf(parts(hook, 'rules')),
      failurePolicy: text(hook, 'failurePolicy') === 'Ignore' ? 'Ignore' : 'Fail',
      matchPolicy: text(hook, 'matchPolicy') === 'Exact' ? 'Exact' : 'Equivalent',
      namespaceSelector: selectorOf(partOf(hook, 'namespaceSelector')),
      objectSelector: selectorOf(partOf(hook, 'objectSelector')),
      sideEffects: text(hook, 'sideEffects'),
      timeoutSeconds: countOf(hook, 'timeoutSeconds') ?? TIMEOUT_SECONDS,
      reviewVersions: texts(hook, 'admissionReviewVersions'),
      matchConditions: parts(hook, 'matchConditions'),
      reinvoked: text(hook, 'reinvocationPolicy') === 'IfNeeded',
    };
  });
}

export function rulesOf(rules: readonly JsonObject[]): Rule[] {
  return rules.map((rule) => ({
    operations: texts(rule, 'operations'),
    apiGroups: texts(rule, 'apiGroups'),
    apiVersions: texts(rule, 'apiVersions'),
    resources: texts(rule, 'resources'),
    scope: text(rule, 'scope') || '*',
  }));
}

/** A selector's requirements, none for one that is absent; the text of what is wrong with it. */
export function selectorOf(selector: JsonObject | undefined): readonly Requirement[] | string {
  if (selector === undefined) return [];
  try {
    return requirementsOf(readSelector(selector));
  } catch (error) {
    if (error instanceof SelectorError) return error.message;
    throw error;
  }
}
