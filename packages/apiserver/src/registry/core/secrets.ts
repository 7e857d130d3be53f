/** Secret: bytes by key, whose type says which keys there must be. (What is in stringData became data with the defaults.) */

import { JsonSyntaxError, readJson } from '../../codec/json-reader.ts';
import { isJsonObject } from '../../api/json.ts';
import { checkImmutable } from '../../validation/scalars.ts';
import { FieldPath } from '../../validation/field-path.ts';
import { base64Length } from '../../validation/labels.ts';
import { configKeyErrors } from '../../validation/names.ts';
import { text, textMap, withField } from '../../validation/value.ts';
import { namesOf } from '../../api/member-names.ts';
import { finish, LOOK_EVERY, WITHOUT_PAUSE, type Pace, type Sliced } from '../../api/sliced.ts';
import type { KubeObject } from '../../api/meta.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import { defineKind, selectableAt } from '../kinds/kind.ts';
import { checkImmutableData, DATA_BYTES_MAX } from './configmaps.ts';

const DATA = FieldPath.of('data');

export const secrets = defineKind({
  group: '',
  types: 'core',
  resource: 'secrets',
  kind: 'Secret',
  scope: 'Namespaced',
  checks: {
    prepareForUpdate: (object, old) =>
      text(object, 'type') === '' ? withField(object, 'type', old['type']) : object,
    warnings: (object) => pairWarnings(textMap(object, 'data'), text(object, 'type')),
    check: (errors, object) => finish(checkSecret(errors, object, WITHOUT_PAUSE)),
    checkInSlices: checkSecret,
    checkKept(errors, object, old) {
      checkImmutable(errors, FieldPath.of('type'), object['type'], old['type']);
      checkImmutableData(errors, object, old, ['data']);
    },
  },
  selectable: selectableAt(['type']),
});

/** Keys may be many: looked at with an eye on the pace. */
function* checkSecret(errors: FieldErrors, object: KubeObject, pace: Pace): Sliced<void> {
  const data = textMap(object, 'data');
  let bytes = 0;
  let looked = 0;
  for (const key of namesOf(data)) {
    if ((looked += 1) % LOOK_EVERY === 0 && pace.due()) yield;
    const wrong = configKeyErrors(key);
    if (wrong.length > 0) errors.invalids(DATA.key(key), key, wrong);
    bytes += base64Length(data[key]);
  }
  if (bytes > DATA_BYTES_MAX) errors.tooLong(DATA, DATA_BYTES_MAX);
  const need = (key: string): void => {
    if (!Object.hasOwn(data, key)) errors.required(DATA.key(key));
  };
  switch (text(object, 'type')) {
    case 'kubernetes.io/service-account-token': {
      const account = object.metadata.annotations?.['kubernetes.io/service-account.name'] ?? '';
      if (account === '') {
        errors.required(FieldPath.of('metadata', 'annotations').key('kubernetes.io/service-account.name'));
      }
      break;
    }
    case 'kubernetes.io/dockercfg':
      checkJson('.dockercfg');
      break;
    case 'kubernetes.io/dockerconfigjson':
      checkJson('.dockerconfigjson');
      break;
    case 'kubernetes.io/basic-auth':
      if (!Object.hasOwn(data, 'username') && !Object.hasOwn(data, 'password')) {
        need('username');
        need('password');
      }
      break;
    case 'kubernetes.io/ssh-auth':
      if ((data['ssh-privatekey'] ?? '') === '') errors.required(DATA.key('ssh-privatekey'));
      break;
    case 'kubernetes.io/tls':
      need('tls.crt');
      need('tls.key');
      break;
    default:
  }

  function checkJson(key: string): void {
    need(key);
    const value = data[key];
    if (value === undefined) return;
    const wrong = jsonError(value);
    if (wrong !== undefined) errors.invalid(DATA.key(key), '<secret contents redacted>', wrong);
  }
}

/** What Go says of a certificate and key that are none. */
function pairWarnings(data: Readonly<Record<string, string>>, type: string): string[] {
  if (type !== 'kubernetes.io/tls') return [];
  const without = [
    ['tls.crt', 'certificate'],
    ['tls.key', 'key'],
  ].find(([key]) => !atob(data[key] ?? '').includes('-----BEGIN '));
  return without === undefined ? [] : [`tls: failed to find any PEM data in ${without[1]} input`];
}

/** What is wrong with bytes that are to be a JSON object; undefined when they are one. */
function jsonError(base64: string): string | undefined {
  try {
    const value = readJson(
      new TextDecoder().decode(Uint8Array.from(atob(base64), (each) => each.charCodeAt(0))),
    );
    if (value === null || isJsonObject(value)) return undefined;
    const kind = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;
    const said = kind === 'object' || kind === 'bigint' ? 'number' : kind;
    return `json: cannot unmarshal ${said} into Go value of type map[string]interface {}`;
  } catch (error) {
    if (error instanceof JsonSyntaxError) return error.message;
    throw error;
  }
}
