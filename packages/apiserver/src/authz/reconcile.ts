/**
 * What has to be written so that a stored role or binding gives at least what the default one gives: rules and
 * subjects that are missing are added, what an administrator added stays. An object whose autoupdate annotation
 * is `false` is left alone; a binding to another role is made anew, since a roleRef cannot change.
 *
 * Modelled on component-helpers' RBAC reconciliation. Decides only; who writes does that with what is returned.
 */

import { fieldsOf, listOf } from '../api/fields.ts';
import type { KubeObject } from '../api/meta.ts';
import { missingRules } from './covers.ts';
import { AUTOUPDATE } from './bootstrap-policy.ts';
import { roleRefOf, rulesOf, subjectsOf, type Subject } from './rbac-objects.ts';

export type Reconciliation =
  | { readonly kind: 'none' }
  | { readonly kind: 'create'; readonly object: KubeObject }
  | { readonly kind: 'update'; readonly object: KubeObject }
  /** Delete the stored one, then create this. */
  | { readonly kind: 'recreate'; readonly object: KubeObject };

const NONE: Reconciliation = { kind: 'none' };

/** @param stored undefined where there is none of the default's name */
export function reconcileRole(standard: KubeObject, stored: KubeObject | undefined): Reconciliation {
  if (stored === undefined) return { kind: 'create', object: standard };
  if (isProtected(stored)) return NONE;
  const merged = withMetadata(standard, stored);
  const wantedSelectors = selectorsOf(standard);
  if (wantedSelectors.length > 0) {
    const known = selectorsOf(stored);
    const texts = new Set(known.map((one) => JSON.stringify(one)));
    const missing = wantedSelectors.filter((one) => !texts.has(JSON.stringify(one)));
    if (missing.length === 0) return changed(merged, stored);
    return {
      kind: 'update',
      object: { ...merged, aggregationRule: { clusterRoleSelectors: [...known, ...missing] } },
    };
  }
  const rules = rulesOf(stored);
  const missing = missingRules(rules, rulesOf(standard));
  // What is aggregated is the controller's to write.
  if (missing.length === 0 || selectorsOf(stored).length > 0) return changed(merged, stored);
  const kept = listOf(stored.rules);
  return { kind: 'update', object: { ...merged, rules: [...kept, ...missing] } };
}

/** @param stored undefined where there is none of the default's name */
export function reconcileBinding(standard: KubeObject, stored: KubeObject | undefined): Reconciliation {
  if (stored === undefined) return { kind: 'create', object: standard };
  if (isProtected(stored)) return NONE;
  const wanted = roleRefOf(standard);
  const actual = roleRefOf(stored);
  if (wanted.apiGroup !== actual.apiGroup || wanted.kind !== actual.kind || wanted.name !== actual.name) {
    const { uid, resourceVersion, creationTimestamp, managedFields, generation, ...kept } = withMetadata(
      standard,
      stored,
    ).metadata;
    void [uid, resourceVersion, creationTimestamp, managedFields, generation];
    return { kind: 'recreate', object: { ...standard, metadata: kept } };
  }
  const merged = withMetadata(standard, stored);
  const texts = new Set(subjectsOf(stored).map(subjectText));
  const missing = subjectsOf(standard).filter((subject) => !texts.has(subjectText(subject)));
  if (missing.length === 0) return changed(merged, stored);
  const kept = listOf(stored.subjects);
  return { kind: 'update', object: { ...merged, subjects: [...kept, ...missing.map(subjectObject)] } };
}

function isProtected(object: KubeObject): boolean {
  return object.metadata.annotations?.[AUTOUPDATE] === 'false';
}

/** The stored object with the labels and annotations of the default one that it lacks. */
function withMetadata(standard: KubeObject, stored: KubeObject): KubeObject {
  return {
    ...stored,
    metadata: {
      ...stored.metadata,
      labels: { ...standard.metadata.labels, ...stored.metadata.labels },
      annotations: { ...standard.metadata.annotations, ...stored.metadata.annotations },
    },
  };
}

function changed(merged: KubeObject, stored: KubeObject): Reconciliation {
  const same =
    sameTexts(merged.metadata.labels, stored.metadata.labels) &&
    sameTexts(merged.metadata.annotations, stored.metadata.annotations);
  return same ? NONE : { kind: 'update', object: merged };
}

/** `a` holds all of `b`; equal when as many. */
function sameTexts(
  a: Readonly<Record<string, string>> = {},
  b: Readonly<Record<string, string>> = {},
): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

function selectorsOf(role: KubeObject): readonly unknown[] {
  return listOf(fieldsOf(role.aggregationRule).clusterRoleSelectors);
}

function subjectText({ kind, apiGroup, name, namespace }: Subject): string {
  return JSON.stringify([kind, apiGroup ?? '', name, namespace ?? '']);
}

function subjectObject({ kind, apiGroup, name, namespace }: Subject): Record<string, string> {
  return {
    kind,
    ...(apiGroup === undefined || apiGroup === '' ? {} : { apiGroup }),
    name,
    ...(namespace === undefined || namespace === '' ? {} : { namespace }),
  };
}
