/** Endpoints: addresses and ports behind a service, the older form of endpoint slices. */

import type { FieldErrors } from '../../validation/field-errors.ts';
import { FieldPath } from '../../validation/field-path.ts';
import type { JsonObject } from '../../api/json.ts';
import { parseAddress, specialAddressErrors } from '../../validation/addresses.ts';
import { dnsLabelErrors, portNumberErrors } from '../../validation/names.ts';
import {
  checkAddress,
  checkDnsLabel,
  checkDnsSubdomain,
  checkEnum,
  checkQualifiedName,
} from '../../validation/scalars.ts';
import { count, has, parts, text } from '../../validation/value.ts';
import { defineKind } from '../kinds/kind.ts';

const PROTOCOLS: readonly string[] = ['SCTP', 'TCP', 'UDP'];

export const endpoints = defineKind({
  group: '',
  types: 'core',
  resource: 'endpoints',
  kind: 'Endpoints',
  scope: 'Namespaced',
  shortNames: ['ep'],
  keyPrefix: 'services/endpoints',
  deprecationWarning: 'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice',
  checks: {
    allowCreateOnUpdate: true,
    check(errors, object) {
      for (const [index, subset] of parts(object, 'subsets').entries()) {
        const at = FieldPath.of('subsets').index(index);
        const ready = parts(subset, 'addresses');
        const waiting = parts(subset, 'notReadyAddresses');
        if (ready.length === 0 && waiting.length === 0) {
          errors.required(at, 'must specify `addresses` or `notReadyAddresses`');
        }
        for (const [number, address] of ready.entries())
          checkOne(errors, at.child('addresses').index(number), address);
        for (const [number, address] of waiting.entries()) {
          checkOne(errors, at.child('notReadyAddresses').index(number), address);
        }
        const ports = parts(subset, 'ports');
        for (const [number, port] of ports.entries()) {
          const place = at.child('ports').index(number);
          const name = text(port, 'name');
          if (ports.length > 1 && name === '') errors.required(place.child('name'));
          else if (name !== '') errors.invalids(place.child('name'), name, dnsLabelErrors(name));
          errors.invalids(place.child('port'), count(port, 'port'), portNumberErrors(count(port, 'port')));
          checkEnum(errors, place.child('protocol'), text(port, 'protocol'), PROTOCOLS);
          if (has(port, 'appProtocol'))
            checkQualifiedName(errors, place.child('appProtocol'), text(port, 'appProtocol'));
        }
      }
    },
  },
});

function checkOne(errors: FieldErrors, path: FieldPath, address: JsonObject): void {
  const ip = text(address, 'ip');
  checkAddress(errors, path.child('ip'), ip);
  const hostname = text(address, 'hostname');
  if (hostname !== '') checkDnsLabel(errors, path.child('hostname'), hostname);
  if (has(address, 'nodeName')) checkDnsSubdomain(errors, path.child('nodeName'), text(address, 'nodeName'));
  if (parseAddress(ip) === undefined) errors.invalid(path.child('ip'), ip, 'must be a valid IP address');
  else errors.invalids(path.child('ip'), ip, specialAddressErrors(ip));
}
