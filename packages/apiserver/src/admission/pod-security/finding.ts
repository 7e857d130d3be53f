/** What a control of the Pod Security Standards is and finds, and the words findings are made of. Pure. */

import type { JsonObject } from '../../api/json.ts';
import { part, text } from '../../validation/value.ts';

/** A pod, or what a template says of those to come. */
export interface PodView {
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: JsonObject;
}

/** What is wrong, shortly and at length. */
export interface Finding {
  readonly reason: string;
  readonly detail: string;
}

export type Check = (pod: PodView) => Finding | undefined;

export interface Control {
  readonly name: string;
  /** From which minor version on which check holds, in order. */
  readonly versions: readonly (readonly [sinceMinor: number, check: Check])[];
  /** The control of the baseline that this one stands in for. */
  readonly overrides?: string;
}

/** The check of a version; undefined before there was one. */
export function checkOf({ versions }: Control, minor: number): Check | undefined {
  return versions.findLast(([since]) => since <= minor)?.[1];
}

export function securityOf(holder: JsonObject): JsonObject {
  return part(holder, 'securityContext');
}

/** `"a", "b"`. */
export function joined(items: readonly string[]): string {
  return items.length === 0 ? '' : `"${items.join('", "')}"`;
}

export function plural(number: number, word: string): string {
  return number === 1 ? word : `${word}s`;
}

/** `container "a"`, `containers "a", "b"`. */
export function containersText(containers: readonly JsonObject[]): string {
  return `${plural(containers.length, 'container')} ${joined(containers.map((each) => text(each, 'name')))}`;
}

export function sortedSet(items: readonly string[]): string[] {
  return [...new Set(items)].toSorted();
}
