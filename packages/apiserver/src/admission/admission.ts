/**
 * What admission is asked: one write, with all a plugin may know of it. A mutator changes the object of a create
 * or an update before it is validated; a validator says no after that. Plugins stand in plugins/, their order in
 * chain.ts. Types only.
 *
 * Modelled on apiserver's admission.Attributes, MutationInterface and ValidationInterface.
 */

import type { GroupVersionKind, GroupVersionResource, KubeObject } from '../api/meta.ts';
import type { RequestInfo } from '../api/request-info.ts';
import type { UserInfo } from '../api/user-info.ts';

export type Operation = 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';

export interface AdmissionAttributes {
  readonly operation: Operation;
  /** As the request named it; objects are given in the storage version, see `convert`. */
  readonly kind: GroupVersionKind;
  readonly resource: GroupVersionResource;
  readonly subresource: string;
  /** Empty for what lies in no namespace. */
  readonly namespace: string;
  /** Empty while a name is still to be generated, and for a collection. */
  readonly name: string;
  /** What is to be written; undefined for a deletion. */
  readonly object: KubeObject | undefined;
  /** What is there; undefined for a creation. */
  readonly oldObject: KubeObject | undefined;
  /** CreateOptions, UpdateOptions, PatchOptions or DeleteOptions of the request, as an object. */
  readonly options: KubeObject | undefined;
  readonly dryRun: boolean;
  readonly user: UserInfo | undefined;
  readonly info: RequestInfo;
  /** Ends when the client went away or the deadline passed. */
  readonly signal: AbortSignal;
  /** The object in the version of the request, as webhooks with an exact match see it. */
  convert(object: KubeObject): KubeObject;
  /** A Warning header of the answer. */
  warn(text: string): void;
  /** An annotation of the audit event; the first value of a key stays. */
  annotate(key: string, value: string): void;
}

interface Plugin {
  /** `NamespaceLifecycle`, as --enable-admission-plugins names it. */
  readonly name: string;
  handles(operation: Operation): boolean;
}

export interface MutatingPlugin extends Plugin {
  /**
   * @returns the object to go on with; the same one when nothing is changed
   * @throws ApiError to refuse
   */
  admit(
    attributes: AdmissionAttributes,
    pass: MutationPass,
  ): Promise<KubeObject | undefined> | KubeObject | undefined;
}

/** Which of the two rounds of mutation runs; a webhook that changes something in the first asks for a second one. */
export interface MutationPass {
  readonly again: boolean;
  /** The same in both rounds of a request, another for each: what a plugin remembers in between is filed under it. */
  readonly request: object;
  /** All that mutate are to be asked once more, when the first round is over. */
  readonly repeat: () => void;
}

export interface ValidatingPlugin extends Plugin {
  /**
   * @returns undefined where it had nothing to wait for
   * @throws ApiError to refuse
   */
  validate(attributes: AdmissionAttributes): Promise<void> | undefined;
}

export type AdmissionPlugin = MutatingPlugin | ValidatingPlugin | (MutatingPlugin & ValidatingPlugin);

export function mutates(plugin: AdmissionPlugin): plugin is MutatingPlugin {
  return 'admit' in plugin;
}

export function validates(plugin: AdmissionPlugin): plugin is ValidatingPlugin {
  return 'validate' in plugin;
}
