/**
 * Who has which names: a definition gets those it asks for unless another one of its group has them already, and keeps
 * what it had. Pure.
 *
 * Modelled on apiextensions-apiserver's naming controller, whose texts these are.
 */

import type { JsonObject } from '../api/json.ts';
import type { KubeObject } from '../api/meta.ts';
import { part, same, text, texts } from '../validation/value.ts';
import type { Condition } from './conditions.ts';

export interface Names {
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly kind: string;
  readonly listKind: string;
  readonly categories: readonly string[];
}

export function namesOf(names: JsonObject): Names {
  return {
    plural: text(names, 'plural'),
    singular: text(names, 'singular'),
    shortNames: texts(names, 'shortNames'),
    kind: text(names, 'kind'),
    listKind: text(names, 'listKind'),
    categories: texts(names, 'categories'),
  };
}

export interface Naming {
  /** What the status is to say; undefined where it says so. */
  readonly accepted: JsonObject | undefined;
  readonly condition: Condition;
}

/**
 * @param others accepted names of the other definitions of the group
 * @param taken the resource is one that the server has itself
 */
export function acceptNames(crd: KubeObject, others: readonly Names[], taken: boolean): Naming {
  const wanted = part(part(crd, 'spec'), 'names');
  const had = part(part(crd, 'status'), 'acceptedNames');
  const resources = new Set(others.flatMap((names) => [names.plural, names.singular, ...names.shortNames]));
  const kinds = new Set(others.flatMap((names) => [names.kind, names.listKind]));
  const accepted: Record<string, JsonObject[string]> = { ...had };
  let condition: Condition = {
    type: 'NamesAccepted',
    status: 'True',
    reason: 'NoConflicts',
    message: 'no conflicts found',
  };
  const refuse = (reason: string, message: string): void => {
    condition = { type: 'NamesAccepted', status: 'False', reason, message };
  };
  const inUse = (name: string): string => `${JSON.stringify(name)} is already in use`;
  const take = (name: string, reason: string, used: ReadonlySet<string>, mine = false): void => {
    const value = text(wanted, name);
    if (mine || (value !== text(had, name) && used.has(value))) refuse(reason, inUse(value));
    else accepted[name] = value;
  };
  take('plural', 'PluralConflict', resources, taken);
  take('singular', 'SingularConflict', resources);
  const shortNames = texts(wanted, 'shortNames');
  const before = new Set(texts(had, 'shortNames'));
  const clashes = shortNames.filter((name) => !before.has(name) && resources.has(name)).map(inUse);
  if (clashes.length > 0) {
    refuse('ShortNamesConflict', clashes.length === 1 ? clashes[0] : `[${clashes.join(', ')}]`);
  } else if (shortNames.length > 0) accepted['shortNames'] = shortNames;
  else delete accepted['shortNames'];
  take('kind', 'KindConflict', kinds);
  take('listKind', 'ListKindConflict', kinds);
  const categories = texts(wanted, 'categories');
  if (categories.length > 0) accepted['categories'] = categories;
  else delete accepted['categories'];
  return { accepted: same(accepted, had) ? undefined : accepted, condition };
}
