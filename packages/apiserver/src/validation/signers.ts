/**
 * Names of signers, `example.com/signer-name`: a domain of two labels or more, a path of one segment.
 * Texts as kubernetes' pkg/apis/certificates/validation.
 */

import type { FieldErrors } from './field-errors.ts';
import type { FieldPath } from './field-path.ts';
import { dnsLabelErrors, dnsSubdomainErrors } from './names.ts';

const DOMAIN_BYTES_MAX = 253;
const NAME_BYTES_MAX = 571;

export function checkSignerName(errors: FieldErrors, path: FieldPath, name: string): void {
  if (name === '') {
    errors.required(path);
    return;
  }
  const segments = name.split('/');
  if (segments.length !== 2) {
    const why = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
    errors.invalid(path, name, why);
    return;
  }
  const [domain, rest] = segments;
  if (domain.length > DOMAIN_BYTES_MAX) errors.tooLong(path, DOMAIN_BYTES_MAX);
  checkLabels(errors, path, domain, dnsLabelErrors);
  if (!domain.includes('.')) {
    errors.invalid(path, domain, 'should be a domain with at least two segments separated by dots');
  }
  checkLabels(errors, path, rest, dnsSubdomainErrors);
  if (name.length > NAME_BYTES_MAX) errors.tooLong(path, NAME_BYTES_MAX);
}

/** The first label that is none is enough to know. */
function checkLabels(
  errors: FieldErrors,
  path: FieldPath,
  segment: string,
  wrong: (label: string) => string[],
): void {
  for (const label of segment.split('.')) {
    const found = wrong(label);
    if (found.length === 0) continue;
    for (const text of found) {
      errors.invalid(path, segment, `validating label ${JSON.stringify(label)}: ${text}`);
    }
    return;
  }
}
