/**
 * What a client is told whose apply meets fields of others: kubectl prints the message, tools read the causes.
 */

import { goQuote } from '@keelson/base';

import { applyConflict, type ApiError } from '../api/status.ts';
import { pathText } from './field-path.ts';
import type { Manager } from './managed-fields.ts';
import type { Conflict } from './server-side-apply-updater.ts';

/** 409 Conflict with one cause a field, and a text that lists the fields by manager. */
export function conflictError(conflicts: readonly Conflict[]): ApiError {
  const causes = conflicts.map(({ manager, path }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${describeManager(manager)}`,
    field: pathText(path),
  }));
  if (conflicts.length === 1) {
    const [{ manager, path }] = conflicts;
    return applyConflict(
      causes,
      `Apply failed with 1 conflict: conflict with ${describeManager(manager)}: ${pathText(path)}`,
    );
  }
  const lines: string[] = [];
  let last: string | undefined;
  for (const { identifier, manager, path } of conflicts) {
    if (identifier !== last) lines.push(`conflicts with ${describeManager(manager)}:`);
    last = identifier;
    lines.push(`- ${pathText(path)}`);
  }
  return applyConflict(causes, `Apply failed with ${conflicts.length} conflicts: ${lines.join('\n')}`);
}

/** The original can name a time as well, but its identifiers of managers have none. */
function describeManager({ name, operation, apiVersion, subresource }: Manager): string {
  const where = subresource === '' ? '' : ` with subresource ${goQuote(subresource)}`;
  return `${goQuote(name)}${where}${operation === 'Update' ? ` using ${apiVersion}` : ''}`;
}
