/** PodCertificateRequest: a kubelet asks for a certificate of one of its pods; a signer issues, denies or fails. */

import { proofError, stubRequestError } from '../../pki/pod-key.ts';
import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { checkConditions } from '../../validation/conditions.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import { goValue } from '../../validation/go-values.ts';
import { base64Length } from '../../validation/labels.ts';
import { dnsSubdomainErrors, qualifiedNameErrors } from '../../validation/names.ts';
import { IMMUTABLE } from '../../validation/scalars.ts';
import { checkSignerName } from '../../validation/signers.ts';
import { countOf, has, part, parts, same, text, textMap } from '../../validation/value.ts';
import { defineKind, OTHERS_METADATA, selectableAt, SPEC, STATUS } from '../kinds/kind.ts';

const UID_MAX = 128;
const KEY_BYTES_MAX = 10 * 1024;
const SECONDS_MIN = 3600;
const DAY_SECONDS = 86_400;
const FINAL: readonly string[] = ['Issued', 'Denied', 'Failed'];
const CONDITIONS = STATUS.child('conditions');

function checkSpec(errors: FieldErrors, spec: JsonObject): void {
  const signer = text(spec, 'signerName');
  checkSignerName(errors, SPEC.child('signerName'), signer);
  for (const key of Object.keys(textMap(spec, 'unverifiedUserAnnotations'))) {
    const at = SPEC.child('unverifiedUserAnnotations');
    if (!key.includes('/')) {
      errors.invalid(at, key, 'must be a domain-prefixed key (such as "acme.io/foo")');
    } else errors.invalids(at, key, qualifiedNameErrors(key));
  }
  for (const [name, uid] of [
    ['podName', 'podUID'],
    ['serviceAccountName', 'serviceAccountUID'],
    ['nodeName', 'nodeUID'],
  ]) {
    errors.invalids(SPEC.child(name), text(spec, name), dnsSubdomainErrors(text(spec, name)));
    const id = text(spec, uid);
    if (id === '') errors.invalid(SPEC.child(uid), id, 'must not be empty');
    if (id.length > UID_MAX) errors.tooLong(SPEC.child(uid), UID_MAX);
  }
  const seconds = countOf(spec, 'maxExpirationSeconds') ?? 0;
  const most = (signer.startsWith('kubernetes.io/') ? 1 : 91) * DAY_SECONDS;
  if (seconds < SECONDS_MIN || seconds > most) {
    errors.invalid(
      SPEC.child('maxExpirationSeconds'),
      seconds,
      `must be in the range [${SECONDS_MIN}, ${most}]`,
    );
  }
  checkKey(errors, spec);
}

function checkKey(errors: FieldErrors, spec: JsonObject): void {
  const [key, proof, request] = ['pkixPublicKey', 'proofOfPossession', 'stubPKCS10Request'].map((name) =>
    text(spec, name),
  );
  const alone = request !== '' && key === '' && proof === '';
  if (!alone && !(request === '' && key !== '' && proof !== '')) {
    errors.refused(
      SPEC,
      'exactly one of (stubPKCS10Request) or (pkixPublicKey, proofOfPossession) must be set',
    );
    return;
  }
  const long = ['pkixPublicKey', 'proofOfPossession', 'stubPKCS10Request'].find(
    (name) => base64Length(text(spec, name)) > KEY_BYTES_MAX,
  );
  if (long !== undefined) {
    errors.tooLong(SPEC.child(long), KEY_BYTES_MAX);
    return;
  }
  const wrong = alone ? stubRequestError(request) : proofError(key, proof, text(spec, 'podUID'));
  if (wrong?.value === undefined) {
    if (wrong !== undefined) errors.refused(SPEC.child(wrong.field), wrong.text);
  } else errors.invalid(SPEC.child(wrong.field), wrong.value, wrong.text);
}

function isFinal(object: KubeObject): boolean {
  return parts(part(object, 'status'), 'conditions').some(
    (condition) => FINAL.includes(text(condition, 'type')) && text(condition, 'status') === 'True',
  );
}

function checkStatus(errors: FieldErrors, object: KubeObject, old: KubeObject): void {
  const status = part(object, 'status');
  const conditions = parts(status, 'conditions');
  for (const [index, condition] of conditions.entries()) {
    const at = CONDITIONS.child(`[${index}]`);
    if (!FINAL.includes(text(condition, 'type'))) {
      errors.notSupported(at.child('type'), text(condition, 'type'), FINAL);
      continue;
    }
    if (index > 0) {
      errors.invalid(
        at.child('type'),
        text(condition, 'type'),
        'There may be at most one condition with type "Issued", "Denied", or "Failed"',
      );
    }
    if (text(condition, 'status') !== 'True') {
      errors.notSupported(at.child('status'), text(condition, 'status'), ['True']);
    }
  }
  checkConditions(errors, CONDITIONS, conditions);
  if (errors.list.length > 0) return;
  const [condition] = conditions;
  if (isFinal(old) && !same(status, part(old, 'status'))) {
    errors.refused(STATUS, 'immutable after PodCertificateRequest is issued, denied, or failed');
  } else if (text(condition ?? {}, 'type') !== 'Issued' && ISSUED.some((name) => has(status, name))) {
    errors.refused(
      STATUS,
      'non-condition status fields must be empty when denying or failing the PodCertificateRequest',
    );
  }
}

const ISSUED: readonly string[] = ['certificateChain', 'notBefore', 'beginRefreshAt', 'notAfter'];

export const podCertificateRequests = defineKind({
  group: 'certificates.k8s.io',
  types: 'certificates',
  resource: 'podcertificaterequests',
  kind: 'PodCertificateRequest',
  scope: 'Namespaced',
  versions: ['v1beta1'],
  gate: 'PodCertificateRequest',
  checks: {
    allowUnconditionalUpdate: false,
    updateChecksAlone: true,
    resetFields: [],
    prepareForCreate: (object) => ({ ...object, status: {} }),
    check: (errors, object) => checkSpec(errors, part(object, 'spec')),
    checkUpdate(errors, object, old) {
      if (same(object['spec'], old['spec'])) return;
      errors.invalid(SPEC, goValue('certificates.PodCertificateRequestSpec', object['spec']), IMMUTABLE);
    },
    status: { keepsMetadata: OTHERS_METADATA, check: checkStatus },
  },
  selectable: selectableAt(['spec.nodeName', 'spec.podName', 'spec.signerName']),
});
