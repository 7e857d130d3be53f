/** Ingress: which service answers for which host and path. */

import type { JsonObject } from '../../api/json.ts';
import { parseAddress } from '../../validation/addresses.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import { FieldPath } from '../../validation/field-path.ts';
import {
  dnsLabelErrors,
  dnsSubdomainErrors,
  portNameErrors,
  portNumberErrors,
  wildcardSubdomainErrors,
} from '../../validation/names.ts';
import { checkReference } from './ingressclasses.ts';
import { checkAddress, checkDnsSubdomain } from '../../validation/scalars.ts';
import { count, has, part, partOf, parts, text, textOf, texts } from '../../validation/value.ts';
import { defineKind, SPEC, STATUS } from '../kinds/kind.ts';

const CLASS_ANNOTATION = 'kubernetes.io/ingress.class';
const PATH_TYPES: readonly string[] = ['Exact', 'ImplementationSpecific', 'Prefix'];

export const ingresses = defineKind({
  group: 'networking.k8s.io',
  types: 'networking',
  resource: 'ingresses',
  kind: 'Ingress',
  scope: 'Namespaced',
  shortNames: ['ing'],
  keyPrefix: 'ingress',
  checks: {
    generation: ['spec'],
    prepareForCreate: (object) => ({ ...object, status: { loadBalancer: {} } }),
    checkCreate(errors, object) {
      const annotation = object.metadata.annotations?.[CLASS_ANNOTATION];
      const named = textOf(part(object, 'spec'), 'ingressClassName');
      if (annotation !== undefined && named !== undefined && annotation !== named) {
        errors.invalid(
          FieldPath.of('annotations', CLASS_ANNOTATION),
          annotation,
          'must match `ingressClassName` when both are specified',
        );
      }
    },
    check(errors, object) {
      const spec = part(object, 'spec');
      const rules = parts(spec, 'rules');
      if (rules.length === 0 && !has(spec, 'defaultBackend')) {
        errors.invalid(SPEC, null, 'either `defaultBackend` or `rules` must be specified');
      }
      const backend = partOf(spec, 'defaultBackend');
      if (backend !== undefined) checkBackend(errors, SPEC.child('defaultBackend'), backend);
      for (const [index, rule] of rules.entries()) checkRule(errors, SPEC.child('rules').index(index), rule);
      for (const [index, tls] of parts(spec, 'tls').entries()) {
        const at = SPEC.child('tls').index(index);
        for (const [number, host] of texts(tls, 'hosts').entries()) {
          errors.invalids(
            at.child('hosts').index(number),
            host,
            host.includes('*') ? wildcardSubdomainErrors(host) : dnsSubdomainErrors(host),
          );
        }
        const secret = text(tls, 'secretName');
        if (secret !== '') checkDnsSubdomain(errors, at.child('secretName'), secret);
      }
      if (has(spec, 'ingressClassName'))
        checkDnsSubdomain(errors, SPEC.child('ingressClassName'), text(spec, 'ingressClassName'));
    },
    warnings: (object, old) =>
      old === undefined && object.metadata.annotations?.[CLASS_ANNOTATION] !== undefined
        ? [
            `annotation ${JSON.stringify(CLASS_ANNOTATION)} is deprecated, please use 'spec.ingressClassName' instead`,
          ]
        : [],
    status: {
      check(errors, object) {
        for (const [index, each] of parts(
          part(part(object, 'status'), 'loadBalancer'),
          'ingress',
        ).entries()) {
          const at = STATUS.child('loadBalancer', 'ingress').index(index);
          if (text(each, 'ip') !== '') checkAddress(errors, at.child('ip'), text(each, 'ip'));
          const host = text(each, 'hostname');
          if (host !== '') checkDnsSubdomain(errors, at.child('hostname'), host);
          if (host !== '' && parseAddress(host) !== undefined)
            errors.invalid(at.child('hostname'), host, 'must be a DNS name, not an IP address');
        }
      },
    },
  },
});

function checkRule(errors: FieldErrors, path: FieldPath, rule: JsonObject): void {
  const host = text(rule, 'host');
  if (host !== '') {
    if (parseAddress(host) !== undefined)
      errors.invalid(path.child('host'), host, 'must be a DNS name, not an IP address');
    errors.invalids(
      path.child('host'),
      host,
      host.includes('*') ? wildcardSubdomainErrors(host) : dnsSubdomainErrors(host),
    );
  }
  const http = partOf(rule, 'http');
  if (http === undefined) return;
  const paths = parts(http, 'paths');
  if (paths.length === 0) errors.required(path.child('http', 'paths'));
  for (const [index, each] of paths.entries()) {
    const at = path.child('http', 'paths').index(index);
    const value = text(each, 'path');
    const type = each['pathType'];
    if (typeof type !== 'string') {
      errors.required(at.child('pathType'), 'pathType must be specified');
      continue;
    }
    if (type === 'Exact' || type === 'Prefix') {
      if (!value.startsWith('/')) errors.invalid(at.child('path'), value, 'must be an absolute path');
      for (const wrong of ['//', '/./', '/../', '%2f', '%2F']) {
        if (value.includes(wrong)) errors.invalid(at.child('path'), value, `must not contain '${wrong}'`);
      }
      for (const wrong of ['/..', '/.']) {
        if (value.endsWith(wrong)) errors.invalid(at.child('path'), value, `cannot end with '${wrong}'`);
      }
    } else if (type === 'ImplementationSpecific') {
      if (value !== '' && !value.startsWith('/'))
        errors.invalid(at.child('path'), value, 'must be an absolute path');
    } else errors.notSupported(at.child('pathType'), type, PATH_TYPES);
    checkBackend(errors, at.child('backend'), part(each, 'backend'));
  }
}

function checkBackend(errors: FieldErrors, path: FieldPath, backend: JsonObject): void {
  const service = partOf(backend, 'service');
  const resource = partOf(backend, 'resource');
  if (service !== undefined && resource !== undefined) {
    errors.invalid(path, '', 'cannot set both resource and service backends');
  } else if (resource !== undefined) {
    checkReference(errors, path.child('resource'), resource);
  } else if (service !== undefined) {
    const name = text(service, 'name');
    if (name === '') errors.required(path.child('service', 'name'));
    else errors.invalids(path.child('service', 'name'), name, dnsLabelErrors(name));
    const port = part(service, 'port');
    const at = path.child('service', 'port');
    const portName = text(port, 'name');
    const number = count(port, 'number');
    if (portName !== '' && number !== 0) errors.invalid(path, '', 'cannot set both port name & port number');
    else if (portName !== '') errors.invalids(at.child('name'), portName, portNameErrors(portName));
    else if (number !== 0) errors.invalids(at.child('number'), number, portNumberErrors(number));
    else errors.required(path, 'port name or number is required');
  } else errors.invalid(path, '', 'resource or service backend is required');
}
