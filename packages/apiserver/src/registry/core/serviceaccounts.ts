/** ServiceAccount: whom pods are to the API. Tokens are minted by the token subresource, which access brings. */

import { defineKind } from '../kinds/kind.ts';
import { subdomainName } from '../metadata.ts';
import { without } from '../../validation/value.ts';
import { parts } from '../../validation/value.ts';

/** Secrets that were dropped from what is listed are none of the account's: nothing of it is refused. */
export const serviceAccounts = defineKind({
  group: '',
  types: 'core',
  resource: 'serviceaccounts',
  kind: 'ServiceAccount',
  scope: 'Namespaced',
  shortNames: ['sa'],
  checks: {
    // Upstream refuses nothing else.
    nameErrors: subdomainName,
    check: () => undefined,
    prepareForCreate: (object) =>
      parts(object, 'secrets').length === 0 ? without(object, 'secrets') : object,
  },
  returnsDeletedObject: true,
});
