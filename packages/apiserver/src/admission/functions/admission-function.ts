/**
 * Admission by a function of the process the server lives in: what it is asked, and how it answers. Types, and the one
 * way to refuse. A function belongs to the server it was given to, and to no other.
 */

import type { JsonObject } from '../../api/json.ts';
import type { GroupVersionKind, GroupVersionResource, KubeObject } from '../../api/meta.ts';
import type { UserInfo } from '../../api/user-info.ts';
import type { Operation } from '../admission.ts';

/** One write, as the function sees it. Objects are frozen copies, in the version of the request. */
export interface AdmissionRequest {
  readonly operation: Operation;
  readonly kind: GroupVersionKind;
  readonly resource: GroupVersionResource;
  /** Empty for the resource itself. */
  readonly subresource: string;
  /** Empty for what lies in no namespace. */
  readonly namespace: string;
  /** Empty while a name is still to be generated. */
  readonly name: string;
  /** What is to be written; undefined for a deletion. */
  readonly object: KubeObject | undefined;
  /** What is there; undefined for a creation. */
  readonly oldObject: KubeObject | undefined;
  /** CreateOptions and their kin. */
  readonly options: JsonObject | undefined;
  readonly dryRun: boolean;
  readonly user: UserInfo | undefined;
  /** Ends with the time of the function, or of the request. */
  readonly signal: AbortSignal;
  /** A Warning header of the answer. */
  readonly warn: (text: string) => void;
  /** An annotation `NAME/key` of the audit event; the first value of a key stays. */
  readonly annotate: (key: string, value: string) => void;
}

/** What mutate answers with: the object to go on with, made anew; undefined to change nothing. */
export type Mutated = Readonly<Record<string, unknown>> | undefined | void;

export interface AdmissionFunction {
  /** A DNS name, `quota.example.com`, unlike all others of the server: in texts, annotations and metrics. */
  readonly name: string;
  /** All unless said. */
  readonly operations?: readonly Operation[];
  /** `pods`, `deployments.apps`, `pods/status`, `pods/*`, `*` for all without what lies under them, `*` + `/*` for all. */
  readonly resources: readonly string[];
  /** The plugin it is asked before, in both phases; `MutatingAdmissionPolicy` unless said: before policies and webhooks. */
  readonly before?: string;
  /** How long it may take, ms; ten seconds unless said. */
  readonly timeoutMs?: number;
  /** What becomes of a write when the function fails, which refusing is not; `Fail` unless said. */
  readonly failurePolicy?: 'Fail' | 'Ignore';
  /** Whether it changes objects again that somebody else changed after it; `Never` unless said. */
  readonly reinvocationPolicy?: 'Never' | 'IfNeeded';
  /** @throws AdmissionDenied to refuse */
  mutate?(request: AdmissionRequest): Mutated | Promise<Mutated>;
  /** @throws AdmissionDenied to refuse */
  validate?(request: AdmissionRequest): void | Promise<void>;
}

/** A refusal. */
export class AdmissionDenied extends Error {
  override readonly name = 'AdmissionDenied';
  /** HTTP, 400 to 599. */
  readonly code: number;
  /** `Forbidden`, `Invalid` or a reason of one's own. */
  readonly reason: string;

  constructor(
    message: string,
    { code = 403, reason = 'Forbidden' }: { code?: number; reason?: string } = {},
  ) {
    super(message);
    this.code = code;
    this.reason = reason;
  }
}
