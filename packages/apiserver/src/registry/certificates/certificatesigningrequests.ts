/** CertificateSigningRequest: a request for a certificate, who made it, whether it was granted. */

import { pathSegmentErrors } from '../../validation/names.ts';
import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { formatTime } from '../../codec/times.ts';
import { certificatesError, requestError } from '../../pki/certificate-request.ts';
import { goValues } from '../../validation/go-values.ts';
import { valueDiff } from '../../validation/line-diff.ts';
import { FieldErrors } from '../../validation/field-errors.ts';
import { checkEnum } from '../../validation/scalars.ts';
import { checkSignerName } from '../../validation/signers.ts';
import { countOf, has, part, parts, same, text, textOf, texts, withField } from '../../validation/value.ts';
import { keepField } from '../generation.ts';
import { defineKind, selectableAt, SPEC, STATUS } from '../kinds/kind.ts';
import { UPDATE_VERBS } from '../resource.ts';

const USAGES: readonly string[] = [
  'any|cert sign|client auth|code signing|content commitment|crl sign|data encipherment|decipher only|digital signature',
  'email protection|encipher only|ipsec end system|ipsec tunnel|ipsec user|key agreement|key encipherment',
  'microsoft sgc|netscape sgc|ocsp signing|s/mime|server auth|signing|timestamping',
].flatMap((names) => names.split('|'));

const STATES: readonly string[] = ['False', 'True', 'Unknown'];
/** Conditions that are final: they are true or not there. */
const FINAL: readonly string[] = ['Approved', 'Denied', 'Failed'];
const CONDITIONS = STATUS.child('conditions');
const CERTIFICATE = STATUS.child('certificate');
const EXPIRATION_SECONDS_MIN = 600;

function checkRequest(errors: FieldErrors, object: KubeObject): void {
  const spec = part(object, 'spec');
  const wrong = requestError(text(spec, 'request'));
  if (wrong !== undefined) errors.invalid(SPEC.child('request'), spec['request'] ?? null, wrong);
  const usages = texts(spec, 'usages');
  const at = SPEC.child('usages');
  if (usages.length === 0) errors.required(at);
  for (const [index, usage] of usages.entries()) {
    if (!USAGES.includes(usage)) errors.notSupported(at.index(index), usage, USAGES);
  }
  for (const [index, usage] of usages.entries()) {
    if (usages.indexOf(usage) < index) errors.duplicate(at.index(index), usage);
  }
  const signer = text(spec, 'signerName');
  if (signer === 'kubernetes.io/legacy-unknown') {
    const why = 'the legacy signerName is not allowed via this API version';
    errors.invalid(SPEC.child('signerName'), signer, why);
  } else checkSignerName(errors, SPEC.child('signerName'), signer);
  const seconds = countOf(spec, 'expirationSeconds');
  if (seconds !== undefined && seconds < EXPIRATION_SECONDS_MIN) {
    errors.invalid(
      SPEC.child('expirationSeconds'),
      seconds,
      'may not specify a duration less than 600 seconds (10 minutes)',
    );
  }
  checkConditions(errors, object);
  const issued = certificatesError(text(part(object, 'status'), 'certificate'));
  if (issued !== undefined) errors.invalid(CERTIFICATE, '<certificate data>', issued);
}

function checkConditions(errors: FieldErrors, object: KubeObject): void {
  const seen = new Set<string>();
  for (const [index, condition] of conditionsOf(object).entries()) {
    const at = CONDITIONS.index(index);
    const type = text(condition, 'type');
    if (type === '') errors.required(at.child('type'));
    const states = FINAL.includes(type) ? ['True'] : STATES;
    checkEnum(errors, at.child('status'), text(condition, 'status'), states);
    const opposite = type === 'Approved' ? 'Denied' : type === 'Denied' ? 'Approved' : '';
    if (opposite !== '' && seen.has(opposite)) {
      errors.invalid(CONDITIONS, type, 'Approved and Denied conditions are mutually exclusive');
    }
    if (seen.has(type)) errors.duplicate(at.child('type'), type);
    seen.add(type);
  }
}

function conditionsOf(object: KubeObject, type?: string): readonly JsonObject[] {
  const all = parts(part(object, 'status'), 'conditions');
  return type === undefined ? all : all.filter((each) => text(each, 'type') === type);
}

function shownConditions(conditions: readonly JsonObject[]): unknown {
  return goValues('certificates.CertificateSigningRequestCondition', conditions);
}

/** Who may change what of the status. */
interface Powers {
  readonly approves: boolean;
  readonly issues: boolean;
}

function checkChange(errors: FieldErrors, object: KubeObject, old: KubeObject, powers: Powers): void {
  for (const type of FINAL) {
    if (conditionsOf(object, type).length < conditionsOf(old, type).length) {
      errors.forbidden(CONDITIONS, `updates may not remove a condition of type ${JSON.stringify(type)}`);
    }
  }
  for (const type of powers.approves ? [] : ['Approved', 'Denied']) {
    const now = conditionsOf(object, type);
    const had = conditionsOf(old, type);
    const named = `a condition of type ${JSON.stringify(type)}`;
    if (now.length > had.length) errors.forbidden(CONDITIONS, `updates may not add ${named}`);
    else if (now.length === had.length && !same(now, had)) {
      errors.forbidden(
        CONDITIONS,
        `updates may not modify ${named}\n${valueDiff(shownConditions(had), shownConditions(now))}`,
      );
    }
  }
  const issued = text(part(object, 'status'), 'certificate');
  const before = text(part(old, 'status'), 'certificate');
  if (issued === before) return;
  if (!powers.issues) errors.forbidden(CERTIFICATE, 'updates may not set certificate content');
  else if (before !== '') {
    errors.forbidden(CERTIFICATE, 'updates may not modify existing certificate content');
  }
}

/** Conditions with the times they came and changed, where nobody said. */
function withTimes(object: KubeObject, old: KubeObject, nowMs: number): KubeObject {
  const status = part(object, 'status');
  if (!has(status, 'conditions')) return object;
  const now = formatTime(Math.floor(nowMs / 1000));
  const conditions = conditionsOf(object).map((condition) => {
    const updated = textOf(condition, 'lastUpdateTime') ?? now;
    const before = conditionsOf(old, text(condition, 'type')).find(
      (each) => text(each, 'status') === text(condition, 'status') && has(each, 'lastTransitionTime'),
    );
    const changed =
      textOf(condition, 'lastTransitionTime') ?? textOf(before ?? {}, 'lastTransitionTime') ?? now;
    return { ...condition, lastUpdateTime: updated, lastTransitionTime: changed };
  });
  return withField(object, 'status', { ...status, conditions });
}

export const certificateSigningRequests = defineKind({
  group: 'certificates.k8s.io',
  types: 'certificates',
  resource: 'certificatesigningrequests',
  kind: 'CertificateSigningRequest',
  scope: 'Cluster',
  shortNames: ['csr'],
  checks: {
    // Anything that can stand in a path.
    nameErrors: pathSegmentErrors,
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
    check: checkRequest,
    checkUpdate: (errors, object, old) =>
      checkChange(errors, object, old, { approves: false, issues: false }),
    resetFields: [['spec'], ['status']],
    status: {
      resetFields: [['spec'], ['status', 'conditions']],
      prepare: (object, old, { nowMs }) => withTimes(object, old, nowMs),
      check(errors, object, old) {
        checkRequest(errors, object);
        checkChange(errors, object, old, { approves: false, issues: true });
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
          resetFields: [['spec'], ['status', 'certificate']],
          // Only the conditions of the status are taken.
          prepareForUpdate(object, old, { nowMs }) {
            const { conditions } = part(object, 'status');
            const status = withField(part(old, 'status'), 'conditions', conditions);
            return withTimes(withField(keepField(object, old, 'spec'), 'status', status), old, nowMs);
          },
          validateUpdate(object, old) {
            const errors = new FieldErrors();
            checkRequest(errors, object);
            checkChange(errors, object, old, { approves: true, issues: false });
            return errors.list;
          },
        },
      },
    },
  ],
});
