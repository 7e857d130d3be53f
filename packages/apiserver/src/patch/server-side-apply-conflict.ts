/**
 * What a client is told whose apply meets fields of others: kubectl prints the message, tools read the causes.
 */

import { goQuote } from '@keelson/base';

import { LOOK_EVERY, type Pace, type Sliced } from '../api/sliced.ts';
import { applyConflict, type ApiError, type StatusCause } from '../api/status.ts';
import { pathText } from './field-path.ts';
import type { Manager } from './managed-fields.ts';
import type { Conflict } from './server-side-apply-updater.ts';

/** 409 Conflict with one cause a field, and a text that lists the fields by manager. */
export function* conflictError(conflicts: readonly Conflict[], pace: Pace): Sliced<ApiError> {
  const causes: StatusCause[] = [];
  const lines: string[] = [];
  let last: string | undefined;
  let who = '';
  for (let at = 0; at < conflicts.length; at += 1) {
    if (at % LOOK_EVERY === 0 && pace.due()) yield;
    const { identifier, manager, path } = conflicts[at];
    if (identifier !== last) {
      who = describeManager(manager);
      lines.push(`conflicts with ${who}:`);
    }
    last = identifier;
    const field = pathText(path);
    causes.push({ reason: 'FieldManagerConflict', message: `conflict with ${who}`, field });
    lines.push(`- ${field}`);
  }
  if (conflicts.length === 1) {
    const field = pathText(conflicts[0].path);
    return applyConflict(causes, `Apply failed with 1 conflict: conflict with ${who}: ${field}`);
  }
  return applyConflict(causes, `Apply failed with ${conflicts.length} conflicts: ${lines.join('\n')}`);
}

/** The original can name a time as well, but its identifiers of managers have none. */
function describeManager({ name, operation, apiVersion, subresource }: Manager): string {
  const where = subresource === '' ? '' : ` with subresource ${goQuote(subresource)}`;
  return `${goQuote(name)}${where}${operation === 'Update' ? ` using ${apiVersion}` : ''}`;
}
