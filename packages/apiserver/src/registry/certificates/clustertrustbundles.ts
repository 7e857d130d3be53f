/** ClusterTrustBundle: certificates of authorities that pods may trust, of one signer or of none. */

import { trustBundleErrors } from '../../pki/trust-bundle.ts';
import { byteLength } from '../../validation/labels.ts';
import { dnsSubdomainErrors } from '../../validation/names.ts';
import { checkImmutable } from '../../validation/scalars.ts';
import { checkSignerName } from '../../validation/signers.ts';
import { part, text } from '../../validation/value.ts';
import { defineKind, METADATA, selectableAt, SPEC } from '../kinds/kind.ts';

const BYTES_MAX = 1024 * 1024;
const OMITTED = '<value omitted>';

export const clusterTrustBundles = defineKind({
  group: 'certificates.k8s.io',
  types: 'certificates',
  resource: 'clustertrustbundles',
  kind: 'ClusterTrustBundle',
  scope: 'Cluster',
  versions: ['v1beta1', 'v1alpha1'],
  gate: 'ClusterTrustBundle',
  checks: {
    // What a name may be depends on the signer: below.
    nameErrors: () => [],
    allowUnconditionalUpdate: false,
    check(errors, object, old) {
      const spec = part(object, 'spec');
      const signer = text(spec, 'signerName');
      const name = object.metadata.name ?? '';
      errors.invalids(METADATA.child('name'), name, nameErrors(name, signer));
      if (signer !== '') checkSignerName(errors, SPEC.child('signerName'), signer);
      const bundle = text(spec, 'trustBundle');
      if (old !== undefined && text(part(old, 'spec'), 'trustBundle') === bundle) return;
      const at = SPEC.child('trustBundle');
      if (byteLength(bundle) > BYTES_MAX) errors.tooLong(at, BYTES_MAX);
      else for (const wrong of trustBundleErrors(bundle)) errors.invalid(at, OMITTED, wrong);
    },
    checkUpdate(errors, object, old) {
      const now = text(part(object, 'spec'), 'signerName');
      checkImmutable(errors, SPEC.child('signerName'), now, text(part(old, 'spec'), 'signerName'));
    },
  },
  selectable: selectableAt(['spec.signerName']),
});

/** The bundle of a signer carries its name in front. */
function nameErrors(name: string, signer: string): string[] {
  if (signer === '') {
    return name.includes(':')
      ? ['ClusterTrustBundle without signer name must not have ":" in its name']
      : dnsSubdomainErrors(name);
  }
  const head = `${signer.replaceAll('/', ':')}:`;
  if (!name.startsWith(head)) {
    return [`ClusterTrustBundle for signerName ${signer} must be named with prefix ${head}`];
  }
  return dnsSubdomainErrors(name.slice(head.length));
}
