/**
 * Selectors of a request as a storage's selection: parsed, the fields a resource knows checked and brought to the
 * names it is stored under, a name in the URL taken for a selector. Pure.
 *
 * Modelled on apiserver's handlers/get.go and the field label conversions of runtime.Scheme.
 */

import {
  parseFieldSelector,
  parseLabelSelector,
  SelectorError,
  type FieldRequirement,
} from '../api/selectors.ts';
import { badRequest } from '../api/status.ts';
import type { Selection } from '../storage/storage.ts';
import type { ResourceDefinition } from './resource.ts';

const METADATA_FIELDS: readonly string[] = ['metadata.name', 'metadata.namespace'];

/**
 * @param name of the URL, for a list of one object; empty without
 * @throws ApiError BadRequest
 */
export function selectionOf(
  definition: ResourceDefinition,
  labelSelector: string,
  fieldSelector: string,
  name = '',
): Selection {
  try {
    const labels = parseLabelSelector(labelSelector);
    const fields = parseFieldSelector(fieldSelector).map((requirement) => known(definition, requirement));
    if (name === '') return { labels, fields };
    if (fields.length === 0)
      return { labels, fields: [{ field: 'metadata.name', operator: '=', value: name }] };
    if (
      fields.some(
        ({ field, operator, value }) => field === 'metadata.name' && operator === '=' && value === name,
      )
    ) {
      return { labels, fields };
    }
  } catch (error) {
    if (!(error instanceof SelectorError)) throw error;
    throw badRequest(error.message);
  }
  throw badRequest("fieldSelector metadata.name doesn't match requested name");
}

/** The requirement under the name the field has inside. */
function known({ selectable, scope }: ResourceDefinition, requirement: FieldRequirement): FieldRequirement {
  const { field } = requirement;
  if (selectable === undefined) {
    if (METADATA_FIELDS.includes(field)) return requirement;
    throw badRequest(onlyMetadata(field));
  }
  const { aliases = {}, hidden = [], names } = selectable;
  if (Object.hasOwn(aliases, field)) return { ...requirement, field: aliases[field] };
  const own = names.includes(field) && !hidden.includes(field);
  if (own || field === 'metadata.name' || (field === 'metadata.namespace' && scope === 'Namespaced')) {
    return requirement;
  }
  throw badRequest(selectable.refusal?.(field) ?? `field label not supported: ${field}`);
}

/** What is said of a field by kinds that know none of their own. */
export function onlyMetadata(field: string): string {
  return `${JSON.stringify(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`;
}
