/** NetworkPolicy: which pods may talk to which. */

import type { JsonObject } from '../../api/json.ts';
import { networkBase, networkContains, parseNetwork } from '../../validation/addresses.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import type { FieldPath } from '../../validation/field-path.ts';
import { checkLabelSelector } from '../../validation/labels.ts';
import { portNumberErrors } from '../../validation/names.ts';
import { checkNetwork, checkPort } from '../../validation/scalars.ts';
import { asNumber, countOf, has, part, partOf, parts, text, texts } from '../../validation/value.ts';
import { defineKind, SPEC } from '../kinds/kind.ts';

const PROTOCOLS: readonly string[] = ['TCP', 'UDP', 'SCTP'];

export const networkPolicies = defineKind({
  group: 'networking.k8s.io',
  types: 'networking',
  resource: 'networkpolicies',
  kind: 'NetworkPolicy',
  scope: 'Namespaced',
  shortNames: ['netpol'],
  checks: {
    generation: ['spec'],
    check(errors, object) {
      const spec = part(object, 'spec');
      checkLabelSelector(errors, SPEC.child('podSelector'), part(spec, 'podSelector'));
      for (const [list, peers] of [
        ['ingress', 'from'],
        ['egress', 'to'],
      ] as const) {
        for (const [index, rule] of parts(spec, list).entries()) {
          const at = SPEC.child(list).index(index);
          for (const [number, port] of parts(rule, 'ports').entries())
            checkPolicyPort(errors, at.child('ports').index(number), port);
          for (const [number, peer] of parts(rule, peers).entries())
            checkPeer(errors, at.child(peers).index(number), peer);
        }
      }
      const types = texts(spec, 'policyTypes');
      if (types.length > 2) {
        errors.invalid(SPEC.child('policyTypes'), types, 'may not specify more than two policyTypes');
        return;
      }
      for (const [index, type] of types.entries()) {
        if (type !== 'Ingress' && type !== 'Egress')
          errors.notSupported(SPEC.child('policyTypes').index(index), type, ['Ingress', 'Egress']);
      }
    },
  },
});

function checkPolicyPort(errors: FieldErrors, path: FieldPath, port: JsonObject): void {
  const protocol = text(port, 'protocol');
  if (has(port, 'protocol') && !PROTOCOLS.includes(protocol))
    errors.notSupported(path.child('protocol'), protocol, PROTOCOLS);
  const end = countOf(port, 'endPort');
  if (has(port, 'port')) {
    checkPort(errors, path.child('port'), port['port']);
    const first = asNumber(port['port']);
    if (end === undefined) return;
    if (first === undefined)
      errors.invalid(path.child('endPort'), end, 'may not be specified when `port` is non-numeric');
    else {
      if (end < first)
        errors.invalid(path.child('endPort'), first, 'must be greater than or equal to `port`');
      errors.invalids(path.child('endPort'), end, portNumberErrors(end));
    }
  } else if (end !== undefined)
    errors.invalid(path.child('endPort'), end, 'may not be specified when `port` is not specified');
}

function checkPeer(errors: FieldErrors, path: FieldPath, peer: JsonObject): void {
  let peers = 0;
  for (const name of ['podSelector', 'namespaceSelector']) {
    const selector = partOf(peer, name);
    if (selector === undefined) continue;
    peers += 1;
    checkLabelSelector(errors, path.child(name), selector);
  }
  const block = partOf(peer, 'ipBlock');
  if (block !== undefined) {
    peers += 1;
    checkBlock(errors, path.child('ipBlock'), block);
  }
  if (peers === 0) errors.required(path, 'must specify a peer');
  else if (peers > 1 && block !== undefined)
    errors.forbidden(path, 'may not specify both ipBlock and another peer');
}

function checkBlock(errors: FieldErrors, path: FieldPath, block: JsonObject): void {
  const range = text(block, 'cidr');
  if (range === '') {
    errors.required(path.child('cidr'));
    return;
  }
  checkNetwork(errors, path.child('cidr'), range);
  const whole = parseNetwork(range);
  for (const [index, text] of texts(block, 'except').entries()) {
    const at = path.child('except').index(index);
    checkNetwork(errors, at, text);
    const inner = parseNetwork(text);
    if (inner === undefined || whole === undefined) continue;
    if (!networkContains(whole, networkBase(inner)) || inner.prefixLength <= whole.prefixLength) {
      errors.invalid(at, text, `must be a strict subset of \`cidr\``);
    }
  }
}
