/**
 * Authorization by asking another server (SubjectAccessReview): the question is written and the answer read here; the
 * call itself, with its deadline and its retries, is made by who is given. Answers are remembered for a while, those
 * that allow longer than others.
 *
 * Modelled on apiserver's webhook authorizer, texts included.
 */

import { fieldsOf, textOf } from '../api/fields.ts';
import type { JsonObject } from '../api/json.ts';
import type { FieldRequirement, Requirement } from '../api/selectors.ts';
import type { AuthorizationAttributes, Authorizer, Decision } from '../api/user-info.ts';

/** Sends a SubjectAccessReview and returns the answered one; rejects when that fails. */
export type PostAccessReview = (review: object) => Promise<unknown>;

export interface WebhookAuthorizerOptions {
  readonly post: PostAccessReview;
  readonly version: 'v1' | 'v1beta1';
  /** 0: not remembered. */
  readonly authorizedTtlMs: number;
  readonly unauthorizedTtlMs: number;
  /** What a question counts as that got no answer. */
  readonly failurePolicy: 'NoOpinion' | 'Deny';
  /** Whether it is asked about these at all; always without. Throws what counts as a failed question. */
  readonly matches?: (attributes: AuthorizationAttributes) => boolean;
  readonly monotonicMs: () => number;
  /** Is told why there was no answer. */
  readonly failed?: (error: unknown) => void;
  readonly observer?: WebhookObserver;
}

/** Told what is counted. */
export interface WebhookObserver {
  /** What its conditions said: ask it, do not, or nothing that could be understood. */
  conditions(outcome: 'matched' | 'excluded' | 'failed', seconds: number): void;
  asked(result: 'success' | 'timeout' | 'error', seconds: number): void;
  /** Its silence counted as no opinion. */
  failedOpen(result: 'timeout' | 'error'): void;
}

/** As the original's cache. */
const ENTRIES_MAX = 8_192;
/** Questions with more text of the client's own than this are not remembered: the cache is not his to fill. */
const TEXT_MAX = 10_000;

interface Entry {
  readonly decision: Decision;
  readonly untilMs: number;
}

export class WebhookAuthorizer implements Authorizer {
  private readonly options: WebhookAuthorizerOptions;
  /** By the question's text; the longest unused first. */
  private readonly entries = new Map<string, Entry>();
  private readonly pending = new Map<string, Promise<Decision>>();

  constructor(options: WebhookAuthorizerOptions) {
    this.options = options;
  }

  authorize(attributes: AuthorizationAttributes): Promise<Decision> {
    try {
      if (!this.concerns(attributes)) return Promise.resolve({ kind: 'no-opinion', reason: '' });
    } catch (error) {
      return Promise.resolve(this.unanswered(error));
    }
    const spec = specOf(attributes, this.options.version);
    if (ownText(attributes) > TEXT_MAX) return this.ask(spec);
    const key = JSON.stringify(spec);
    const known = this.remembered(key);
    if (known !== undefined) return Promise.resolve(known);
    let pending = this.pending.get(key);
    if (pending === undefined) {
      pending = this.askAndRemember(key, spec).finally(() => this.pending.delete(key));
      this.pending.set(key, pending);
    }
    return pending;
  }

  /** @throws what its conditions throw */
  private concerns(attributes: AuthorizationAttributes): boolean {
    const { matches, observer, monotonicMs } = this.options;
    if (matches === undefined) return true;
    const startMs = monotonicMs();
    let outcome: 'matched' | 'excluded' | 'failed' = 'failed';
    try {
      outcome = matches(attributes) ? 'matched' : 'excluded';
      return outcome === 'matched';
    } finally {
      observer?.conditions(outcome, (monotonicMs() - startMs) / 1_000);
    }
  }

  private remembered(key: string): Decision | undefined {
    const entry = this.entries.get(key);
    if (entry === undefined) return undefined;
    this.entries.delete(key);
    if (entry.untilMs <= this.options.monotonicMs()) return undefined;
    this.entries.set(key, entry);
    return entry.decision;
  }

  private async askAndRemember(key: string, spec: object): Promise<Decision> {
    const { authorizedTtlMs, unauthorizedTtlMs, monotonicMs } = this.options;
    const decision = await this.ask(spec);
    // Without an answer there is nothing to remember.
    if (decision.error !== undefined) return decision;
    const ttlMs = decision.kind === 'allow' ? authorizedTtlMs : unauthorizedTtlMs;
    if (ttlMs > 0) {
      this.entries.set(key, { decision, untilMs: monotonicMs() + ttlMs });
      if (this.entries.size > ENTRIES_MAX) {
        for (const oldest of this.entries.keys()) {
          this.entries.delete(oldest);
          break;
        }
      }
    }
    return decision;
  }

  /** What a question counts as that got no answer. */
  private unanswered(error: unknown): Decision {
    const { failurePolicy, failed } = this.options;
    failed?.(error);
    return {
      kind: failurePolicy === 'Deny' ? 'deny' : 'no-opinion',
      reason: '',
      error: error instanceof Error ? error.message : String(error),
    };
  }

  private async ask(spec: object): Promise<Decision> {
    const { post, version, observer, monotonicMs, failurePolicy } = this.options;
    const startMs = monotonicMs();
    const asked = (result: 'success' | 'timeout' | 'error'): void =>
      observer?.asked(result, (monotonicMs() - startMs) / 1_000);
    let answer: unknown;
    try {
      answer = await post({
        apiVersion: `authorization.k8s.io/${version}`,
        kind: 'SubjectAccessReview',
        metadata: { creationTimestamp: null },
        spec,
        status: { allowed: false },
      });
    } catch (error) {
      const result = isTimeout(error) ? 'timeout' : 'error';
      asked(result);
      if (failurePolicy === 'NoOpinion') observer?.failedOpen(result);
      return this.unanswered(error);
    }
    asked('success');
    const { allowed, denied, reason } = fieldsOf(fieldsOf(answer).status);
    if (denied === true && allowed === true) {
      return {
        kind: 'deny',
        reason: textOf(reason),
        error: 'webhook subject access review returned both allow and deny response',
      };
    }
    const kind = denied === true ? 'deny' : allowed === true ? 'allow' : 'no-opinion';
    return { kind, reason: textOf(reason) };
  }
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && /deadline exceeded|timeout/i.test(error.message);
}

/** How much of a question its asker can choose freely. */
function ownText(attributes: AuthorizationAttributes): number {
  const { namespace, verb, group, version, resource, subresource, name, path } = attributes;
  return [namespace, verb, group, version, resource, subresource, name, path].reduce(
    (sum, text) => sum + text.length,
    0,
  );
}

/** The question's spec, empty parts left out; v1beta1 calls the groups `group`. */
function specOf(attributes: AuthorizationAttributes, version: 'v1' | 'v1beta1'): object {
  const { user } = attributes;
  const { name, uid, groups, extra } = user;
  return {
    ...questionOf(attributes),
    ...(name === '' ? {} : { user: name }),
    ...(groups.length === 0 ? {} : { [version === 'v1' ? 'groups' : 'group']: groups }),
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
    ...(uid === '' ? {} : { uid }),
  };
}

function questionOf(attributes: AuthorizationAttributes): object {
  const { verb, path } = attributes;
  if (!attributes.isResource) return { nonResourceAttributes: { path, verb } };
  const named: Record<string, unknown> = {};
  for (const field of ['namespace', 'verb', 'group', 'version', 'resource', 'subresource', 'name'] as const) {
    if (attributes[field] !== '') named[field] = attributes[field];
  }
  return { resourceAttributes: { ...named, ...selectorAttributes(attributes) } };
}

/** The selectors of a question as a review says them; those that are there. */
export function selectorAttributes({ labelSelector, fieldSelector }: AuthorizationAttributes): JsonObject {
  return {
    ...(fieldSelector === undefined
      ? {}
      : { fieldSelector: { requirements: fieldSelector.map(fieldRequirement) } }),
    ...(labelSelector === undefined
      ? {}
      : { labelSelector: { requirements: labelSelector.flatMap(labelRequirement) } }),
  };
}

function fieldRequirement({ field, operator, value }: FieldRequirement): JsonObject {
  return { key: field, operator: operator === '!=' ? 'NotIn' : 'In', values: [value] };
}

/** Left out: those that the API has no word for. The question is a wider one then. */
function labelRequirement({ key, operator, values }: Requirement): JsonObject[] {
  const word = OPERATORS[operator];
  if (word === undefined) return [];
  return [{ key, operator: word, ...(values.length === 0 ? {} : { values: [...values] }) }];
}

const OPERATORS: Readonly<Record<string, string>> = {
  in: 'In',
  '=': 'In',
  '==': 'In',
  notin: 'NotIn',
  '!=': 'NotIn',
  exists: 'Exists',
  '!': 'DoesNotExist',
};
