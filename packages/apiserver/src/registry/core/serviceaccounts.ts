/** ServiceAccount: whom pods are to the API. Tokens are minted by the token subresource, which access brings. */

import type { KubeObject } from '../../api/meta.ts';
import { defineKind } from '../kinds/kind.ts';
import { subdomainName } from '../metadata.ts';
import { has, withField, without } from '../../validation/value.ts';
import { parts } from '../../validation/value.ts';

const ENFORCE_SECRETS = 'kubernetes.io/enforce-mountable-secrets';
const DEPRECATED = `metadata.annotations[${ENFORCE_SECRETS}]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets`;

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
    prepareForCreate: (object) => withNames(object),
    prepareForUpdate: (object) => withNames(object),
    warnings: (object, old) =>
      enforcesSecrets(object) && (old === undefined || !enforcesSecrets(old)) ? [DEPRECATED] : [],
  },
  returnsDeletedObject: true,
});

function enforcesSecrets({ metadata: { annotations } }: KubeObject): boolean {
  return Object.hasOwn(annotations ?? {}, ENFORCE_SECRETS);
}

/** Of a secret that is listed only the name is kept. */
function withNames(object: KubeObject): KubeObject {
  const secrets = parts(object, 'secrets');
  if (secrets.length === 0) return without(object, 'secrets');
  return withField(
    object,
    'secrets',
    secrets.map((each) => (has(each, 'name') ? { name: each['name'] } : {})),
  );
}
