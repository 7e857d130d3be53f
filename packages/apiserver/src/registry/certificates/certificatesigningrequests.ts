/** CertificateSigningRequest: a request for a certificate, who made it, whether it was granted. */

import type { KubeObject } from '../../api/meta.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import { countOf, has, part, parts, same, text, texts, withField } from '../../validation/value.ts';
import { dnsSubdomainErrors } from '../../validation/names.ts';
import { FieldErrors as Errors } from '../../validation/field-errors.ts';
import { keepField } from '../generation.ts';
import { UPDATE_VERBS } from '../resource.ts';
import { defineKind, selectableAt, SPEC, STATUS } from '../kinds/kind.ts';

const USAGES: readonly string[] = [
  'any|cert sign|client auth|code signing|content commitment|crl sign|data encipherment|decipher only|digital signature',
  'email protection|encipher only|ipsec end system|ipsec tunnel|ipsec user|key agreement|key encipherment',
  'microsoft sgc|netscape sgc|ocsp signing|s/mime|server auth|signing|timestamping',
].flatMap((names) => names.split('|'));

function checkConditions(errors: FieldErrors, object: KubeObject): void {
  const types = new Set<string>();
  for (const [index, condition] of parts(part(object, 'status'), 'conditions').entries()) {
    const at = STATUS.child('conditions').index(index);
    const type = text(condition, 'type');
    if (type === '') errors.required(at.child('type'));
    const state = text(condition, 'status');
    if (state === '') errors.required(at.child('status'));
    else if (type === 'Approved' || type === 'Denied' || type === 'Failed') {
      if (state !== 'True') errors.notSupported(at.child('status'), state, ['True']);
    } else if (!['False', 'True', 'Unknown'].includes(state))
      errors.notSupported(at.child('status'), state, ['False', 'True', 'Unknown']);
    if (types.has(type)) errors.duplicate(at.child('type'), type);
    types.add(type);
  }
  if (types.has('Approved') && types.has('Denied')) {
    errors.invalid(
      STATUS.child('conditions'),
      'Denied',
      'Approved and Denied conditions are mutually exclusive',
    );
  }
}

export const certificateSigningRequests = defineKind({
  group: 'certificates.k8s.io',
  types: 'certificates',
  resource: 'certificatesigningrequests',
  kind: 'CertificateSigningRequest',
  scope: 'Cluster',
  shortNames: ['csr'],
  checks: {
    // Who asks is who is authenticated, whatever the object says.
    prepareForCreate(object, { user }) {
      const {
        username: _username,
        uid: _uid,
        groups: _groups,
        extra: _extra,
        ...spec
      } = part(object, 'spec');
      const own =
        user === undefined
          ? {}
          : {
              username: user.name,
              uid: user.uid,
              groups: [...user.groups],
              ...(Object.keys(user.extra ?? {}).length > 0 ? { extra: user.extra } : {}),
            };
      return withField({ ...object, status: {} }, 'spec', { ...spec, ...own });
    },
    prepareForUpdate: (object, old) => keepField(object, old, 'spec'),
    check(errors, object) {
      const spec = part(object, 'spec');
      if (text(spec, 'request') === '')
        errors.invalid(SPEC.child('request'), null, 'PEM block type must be CERTIFICATE REQUEST');
      const usages = texts(spec, 'usages');
      if (usages.length === 0) errors.required(SPEC.child('usages'));
      for (const [index, usage] of usages.entries()) {
        if (!USAGES.includes(usage)) errors.notSupported(SPEC.child('usages').index(index), usage, USAGES);
        else if (usages.indexOf(usage) < index) errors.duplicate(SPEC.child('usages').index(index), usage);
      }
      const signer = text(spec, 'signerName');
      if (signer === '') errors.required(SPEC.child('signerName'));
      else {
        const [domain, ...path] = signer.split('/');
        if (path.length !== 1 || path[0] === '' || !domain.includes('.')) {
          errors.invalid(
            SPEC.child('signerName'),
            signer,
            'must be a fully qualified domain and path of the form "example.com/signer-name"',
          );
        } else errors.invalids(SPEC.child('signerName'), signer, dnsSubdomainErrors(domain));
      }
      const seconds = countOf(spec, 'expirationSeconds');
      if (seconds !== undefined && seconds < 600) {
        errors.invalid(
          SPEC.child('expirationSeconds'),
          seconds,
          'may not specify a duration less than 600 seconds (10 minutes)',
        );
      }
      checkConditions(errors, object);
    },
    status: {
      check(errors, object, old) {
        checkConditions(errors, object);
        const before = part(old, 'status')['certificate'];
        if (has(part(old, 'status'), 'certificate') && !same(part(object, 'status')['certificate'], before)) {
          errors.forbidden(
            STATUS.child('certificate'),
            'updates may not change a certificate that was issued',
          );
        }
      },
    },
  },
  selectable: selectableAt(['spec.signerName']),
  subresources: [
    {
      name: 'approval',
      verbs: UPDATE_VERBS,
      backing: {
        kind: 'update',
        strategy: {
          // Only the conditions of the status are taken.
          prepareForUpdate: (object, old) =>
            withField(
              keepField(object, old, 'spec'),
              'status',
              withField(part(old, 'status'), 'conditions', part(object, 'status')['conditions']),
            ),
          validateUpdate(object) {
            const errors = new Errors();
            checkConditions(errors, object);
            return errors.list;
          },
        },
      },
    },
  ],
});
