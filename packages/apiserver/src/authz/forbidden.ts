/**
 * The refusal of a request by authorization, in the words kubectl prints and tests match on: who cannot do what
 * where, and the authorizer's reason. Modelled on apiserver's responsewriters.Forbidden.
 */

import { goQuote } from '@keelson/base';

import { forbidden, type ApiError } from '../api/status.ts';
import type { AuthorizationAttributes } from '../api/user-info.ts';
import { combinedResource } from './rules.ts';

/** Characters that a browser could take for markup, where the text names what the client chose. */
const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

/** `User "jane" cannot list resource "pods" in API group "" in the namespace "default"`. */
function forbiddenText(attributes: AuthorizationAttributes): string {
  const { user, verb, path, group, namespace } = attributes;
  const text = attributes.isResource
    ? `User ${goQuote(user.name)} cannot ${verb} resource ${goQuote(combinedResource(attributes))} in API group ${goQuote(group)} ${
        namespace === '' ? 'at the cluster scope' : `in the namespace ${goQuote(namespace)}`
      }`
    : `User ${goQuote(user.name)} cannot ${verb} path ${goQuote(path)}`;
  return escapeMarkup(text);
}

/** A text without what a browser could take for markup. */
export function escapeMarkup(text: string): string {
  return text.replace(/[&<>]/g, (char) => ESCAPES[char]);
}

/** The refusal as an error with code 403. */
export function forbiddenRequest(attributes: AuthorizationAttributes, reason: string): ApiError {
  const { group, resource, name } = attributes;
  const text = forbiddenText(attributes);
  const subject = attributes.isResource ? { group, resource } : { group: '', resource: '' };
  return forbidden(subject, attributes.isResource ? name : '', reason === '' ? text : `${text}: ${reason}`);
}
