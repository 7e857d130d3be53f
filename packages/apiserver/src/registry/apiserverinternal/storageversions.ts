/** StorageVersion: in which version each API server writes a resource, and which it reads. */

import type { JsonObject } from '../../api/json.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import type { FieldPath } from '../../validation/field-path.ts';
import { dns1035LabelErrors, dnsSubdomainErrors } from '../../validation/names.ts';
import { checkDnsSubdomain, checkQualifiedName } from '../../validation/scalars.ts';
import { part, parts, text, textOf, texts } from '../../validation/value.ts';
import { defineKind, OTHERS_METADATA, STATUS } from '../kinds/kind.ts';

/** `apps/v1`, joined as the original joins what is wrong. */
function versionError(version: string): string | undefined {
  const words = version.split('/');
  if (words.length > 2) {
    return "an apiVersion is a DNS-1035 label, which must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyVersion')";
  }
  const name = words.at(-1) ?? '';
  const group = words.length === 2 ? words[0] : undefined;
  const wrong = [
    ...(group === undefined ? [] : wordErrors(group, dnsSubdomainErrors, 'group')),
    ...wordErrors(name, dns1035LabelErrors, 'version'),
  ];
  return wrong.length === 0 ? undefined : wrong.join(',');
}

function wordErrors(word: string, errors: (word: string) => string[], part: string): string[] {
  return (word === '' ? ['must be non-empty'] : errors(word)).map((wrong) => `${part} part: ${wrong}`);
}

function checkServer(errors: FieldErrors, path: FieldPath, server: JsonObject): void {
  checkDnsSubdomain(errors, path.child('apiServerID'), text(server, 'apiServerID'));
  const encoding = text(server, 'encodingVersion');
  const decodable = texts(server, 'decodableVersions');
  const served = texts(server, 'servedVersions');
  const check = (at: FieldPath, version: string): void => {
    const wrong = versionError(version);
    if (wrong !== undefined) errors.invalid(at, version, wrong);
  };
  check(path.child('encodingVersion'), encoding);
  for (const [index, version] of decodable.entries())
    check(path.child('decodableVersions').index(index), version);
  if (!decodable.includes(encoding)) {
    errors.invalid(
      path.child('decodableVersions'),
      decodable,
      `decodableVersions must include encodingVersion ${encoding}`,
    );
  }
  for (const [index, version] of served.entries()) {
    const at = path.child('servedVersions').index(index);
    check(at, version);
    if (decodable.includes(version)) continue;
    errors.invalid(
      at,
      version,
      `individual served version : ${version} must be included in decodableVersions : [${decodable.join(' ')}]`,
    );
  }
}

function commonError(
  servers: readonly JsonObject[],
  told: string | undefined,
): readonly [unknown, string] | undefined {
  const [first] = servers.map((server) => text(server, 'encodingVersion'));
  const common = servers.every((server) => text(server, 'encodingVersion') === first) ? first : undefined;
  if (common === told) return undefined;
  if (common === undefined) {
    return [
      told,
      'should be nil if servers do not agree on the same encoding version, or if there is no server reporting the supported versions yet',
    ];
  }
  return told === undefined
    ? [null, `the common encoding version is ${common}`]
    : [told, `the actual common encoding version is ${common}`];
}

function checkStatus(errors: FieldErrors, status: JsonObject): void {
  const servers = parts(status, 'storageVersions');
  const ids = new Set<string>();
  for (const [index, server] of servers.entries()) {
    const at = STATUS.child('storageVersions').index(index);
    const id = text(server, 'apiServerID');
    if (ids.has(id)) errors.duplicate(at.child('apiServerID'), id);
    ids.add(id);
    checkServer(errors, at, server);
  }
  const wrong = commonError(servers, textOf(status, 'commonEncodingVersion'));
  if (wrong !== undefined) errors.invalid(STATUS.child('commonEncodingVersion'), ...wrong);
  const first = new Map<string, number>();
  for (const [index, condition] of parts(status, 'conditions').entries()) {
    // The original leaves the list's name out of the path.
    const at = STATUS.index(index);
    const type = text(condition, 'type');
    const before = first.get(type);
    if (before !== undefined) {
      const twice = `the type of the condition is not unique, it also appears in conditions[${before}]`;
      errors.invalid(at.child('type'), type, twice);
    }
    first.set(type, index);
    checkQualifiedName(errors, at.child('type'), type);
    checkQualifiedName(errors, at.child('status'), text(condition, 'status'));
    for (const name of ['reason', 'message']) {
      if (text(condition, name) === '') errors.required(at.child(name));
    }
  }
}

export const storageVersions = defineKind({
  group: 'internal.apiserver.k8s.io',
  types: 'apiserverinternal',
  resource: 'storageversions',
  kind: 'StorageVersion',
  scope: 'Cluster',
  versions: ['v1alpha1'],
  checks: {
    nameErrors(name) {
      const dot = name.lastIndexOf('.');
      if (dot < 0) return ['name must be in the form of <group>.<resource>'];
      return [
        ...dnsSubdomainErrors(name.slice(0, dot)).map((wrong) => `the group segment ${wrong}`),
        ...dns1035LabelErrors(name.slice(dot + 1)).map((wrong) => `the resource segment ${wrong}`),
      ];
    },
    allowUnconditionalUpdate: false,
    updateChecksAlone: true,
    prepareForCreate: (object) => ({ ...object, status: {} }),
    check: () => undefined,
    status: {
      resetFields: [['metadata'], ['spec']],
      keepsMetadata: OTHERS_METADATA,
      check: (errors, object) => checkStatus(errors, part(object, 'status')),
    },
  },
});
