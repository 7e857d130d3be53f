/** DeviceTaintRule and ResourcePoolStatusRequest: devices that are to be left alone, and what pools of them hold. */

import type { KubeObject } from '../../api/meta.ts';
import { formatTime } from '../../codec/times.ts';
import { checkConditions } from '../../validation/conditions.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import type { FieldPath } from '../../validation/field-path.ts';
import { goValue } from '../../validation/go-values.ts';
import { dnsSubdomainErrors, tooLongText } from '../../validation/names.ts';
import { checkDnsLabel, checkDnsSubdomain, IMMUTABLE } from '../../validation/scalars.ts';
import { checkDriverName } from '../../validation/volume-sources.ts';
import { countOf, has, part, parts, partOf, same, text, withFieldAt } from '../../validation/value.ts';
import { defineKind, OTHERS_METADATA, SPEC, STATUS, writtenAs } from '../kinds/kind.ts';
import { checkTaint } from './devices.ts';

const GROUP = { group: 'resource.k8s.io', types: 'resource' } as const;
const POOL_NAME_MAX = 253;
const CONDITIONS_MAX = 8;
const LIMIT_MAX = 1000;

function checkPoolName(errors: FieldErrors, path: FieldPath, name: string): void {
  if (name === '') {
    errors.required(path);
    return;
  }
  if (name.length > POOL_NAME_MAX) errors.tooLong(path, POOL_NAME_MAX);
  for (const each of name.split('/')) checkDnsSubdomain(errors, path, each);
}

const CASELESS = '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*';
const wholeCaseless = new RegExp(`^${CASELESS}$`, 'i');

/** Declared rules count bytes, the others characters. */
function inBytes(text: string): string {
  return text.replace(/^(must be no more than \d+) characters$/, '$1 bytes');
}

/** A name of a domain in letters of either case. */
function checkCaselessName(errors: FieldErrors, path: FieldPath, name: string): void {
  if (name === '') errors.required(path);
  else if (!wholeCaseless.test(name)) {
    const must = `an RFC 1123 subdomain must consist of alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'Example.com', regex used for validation is '${CASELESS}')`;
    errors.invalid(path, name, must);
  } else if (name.length > POOL_NAME_MAX) {
    errors.invalid(path, name, inBytes(tooLongText(POOL_NAME_MAX)));
  }
}

/** A pool's name as declared rules check it: piece by piece, each told by its number. */
function checkSegments(errors: FieldErrors, path: FieldPath, name: string): void {
  if (name.length > POOL_NAME_MAX) errors.tooLong(path, POOL_NAME_MAX);
  for (const [index, segment] of name.split('/').entries()) {
    if (segment === '') errors.invalid(path, name, `segment ${index}: must not be empty`);
    else
      for (const wrong of dnsSubdomainErrors(segment)) {
        errors.invalid(path, segment, `segment ${index}: ${inBytes(wrong)}`);
      }
  }
}

/** The taint says since when it stands. */
function stamped(object: KubeObject, nowMs: number): KubeObject {
  return withFieldAt(object, ['spec', 'taint', 'timeAdded'], formatTime(Math.floor(nowMs / 1000)));
}

function taintOf(object: KubeObject): ReturnType<typeof part> {
  return part(part(object, 'spec'), 'taint');
}

export const deviceTaintRules = defineKind({
  ...GROUP,
  resource: 'devicetaintrules',
  kind: 'DeviceTaintRule',
  scope: 'Cluster',
  versions: ['v1beta2', 'v1alpha3'],
  written: writtenAs({ ...GROUP, kind: 'DeviceTaintRule', version: 'v1alpha3', of: 'v1beta2' }),
  checks: {
    generation: ['spec'],
    prepareForCreate(object, { nowMs }) {
      const prepared = { ...object, status: {} };
      return has(taintOf(object), 'timeAdded') ? prepared : stamped(prepared, nowMs);
    },
    prepareForUpdate(object, old, { nowMs }) {
      const [now, before] = [taintOf(object), taintOf(old)];
      const another = text(now, 'effect') !== text(before, 'effect');
      const kept = same(now['timeAdded'], before['timeAdded']);
      return !has(now, 'timeAdded') || (another && kept) ? stamped(object, nowMs) : object;
    },
    check(errors, object, old) {
      const selector = partOf(part(object, 'spec'), 'deviceSelector');
      const at = SPEC.child('deviceSelector');
      if (selector !== undefined && has(selector, 'driver')) {
        checkDriverName(errors, at.child('driver'), text(selector, 'driver'));
      }
      if (selector !== undefined && has(selector, 'pool')) {
        checkPoolName(errors, at.child('pool'), text(selector, 'pool'));
      }
      if (selector !== undefined && has(selector, 'device')) {
        checkDnsLabel(errors, at.child('device'), text(selector, 'device'));
      }
      checkTaint(errors, SPEC.child('taint'), taintOf(object), old && taintOf(old));
    },
    status: {
      resetFields: [['metadata'], ['spec']],
      keepsMetadata: OTHERS_METADATA,
      check(errors, object) {
        const conditions = parts(part(object, 'status'), 'conditions');
        checkConditions(errors, STATUS.child('conditions'), conditions);
        if (conditions.length > CONDITIONS_MAX) {
          errors.tooMany(STATUS.child('conditions'), conditions.length, CONDITIONS_MAX);
        }
      },
    },
  },
});

export const resourcePoolStatusRequests = defineKind({
  ...GROUP,
  resource: 'resourcepoolstatusrequests',
  kind: 'ResourcePoolStatusRequest',
  scope: 'Cluster',
  versions: ['v1alpha3'],
  checks: {
    allowUnconditionalUpdate: false,
    check(errors, object) {
      const spec = part(object, 'spec');
      checkCaselessName(errors, SPEC.child('driver'), text(spec, 'driver'));
      if (has(spec, 'poolName')) checkSegments(errors, SPEC.child('poolName'), text(spec, 'poolName'));
      const limit = countOf(spec, 'limit') ?? 0;
      const at = SPEC.child('limit');
      if (limit > LIMIT_MAX) errors.invalid(at, limit, `must be less than or equal to ${LIMIT_MAX}`);
      if (limit < 1) errors.invalid(at, limit, 'must be greater than or equal to 1');
    },
    checkUpdate(errors, object, old) {
      if (same(object['spec'], old['spec'])) return;
      errors.invalid(SPEC, null, IMMUTABLE);
    },
    status: {
      resetFields: [['metadata'], ['spec']],
      keepsMetadata: OTHERS_METADATA,
      check(errors, object, old) {
        const status = part(object, 'status');
        if (has(old, 'status') && Object.keys(part(old, 'status')).length > 0) {
          if (!same(status, part(old, 'status'))) {
            errors.invalid(
              STATUS,
              goValue('resource.ResourcePoolStatusRequestStatus', object['status']),
              IMMUTABLE,
            );
            if (!has(status, 'poolCount')) errors.required(STATUS.child('poolCount'));
          }
          return;
        }
        checkConditions(errors, STATUS.child('conditions'), parts(status, 'conditions'));
        const pools = parts(status, 'pools').length;
        if (pools > LIMIT_MAX) errors.tooMany(STATUS.child('pools'), pools, LIMIT_MAX);
      },
    },
  },
});
