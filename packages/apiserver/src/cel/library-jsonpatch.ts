/** Kubernetes' helper for mutating policies: `jsonpatch.escapeKey()` writes a key as a JSON pointer wants it. */

import { overload, type Overload } from './functions.ts';
import { noSuchOverload } from './values.ts';

export const JSON_PATCH_LIBRARY: readonly Overload[] = [
  overload('string_jsonpatch_escapeKey_string', 'jsonpatch.escapeKey(string) string', (key) =>
    typeof key === 'string' ? key.replaceAll('~', '~0').replaceAll('/', '~1') : noSuchOverload(),
  ),
];
