/**
 * Service: one address for many pods. What it is refused for stands in service-checks.ts, how its fields hang
 * together in service-fields.ts; addresses and ports are handed out by service-hooks.ts.
 */

import type { KubeObject } from '../../api/meta.ts';
import { dnsLabelErrors, forName } from '../../validation/names.ts';
import { has, part, partOf, text, texts, withField } from '../../validation/value.ts';
import { defineKind, selectableAt } from '../kinds/kind.ts';
import {
  checkLoadBalancerStatus,
  checkService,
  checkServiceUpdate,
  TOPOLOGY_HINTS,
  TOPOLOGY_MODE,
} from './service-checks.ts';
import { isHeadless, listedOnCreate, preparedForUpdate } from './service-fields.ts';

/** Without hooks: those belong to one server, whose ranges they know. */
export const services = defineKind({
  group: '',
  types: 'core',
  resource: 'services',
  kind: 'Service',
  scope: 'Namespaced',
  shortNames: ['svc'],
  categories: ['all'],
  keyPrefix: 'services/specs',
  checks: {
    allowCreateOnUpdate: true,
    // Relaxed from DNS-1035 in 1.34: a digit may come first.
    nameErrors: forName(dnsLabelErrors),
    prepareForCreate: (object) => ({
      ...object,
      ...(partOf(object, 'spec') === undefined ? {} : { spec: listedOnCreate(part(object, 'spec')) }),
      status: { loadBalancer: {} },
    }),
    prepareForUpdate(object, old) {
      const prepared = withField(object, 'spec', preparedForUpdate(part(object, 'spec'), part(old, 'spec')));
      if (text(part(prepared, 'spec'), 'type') === 'LoadBalancer') return prepared;
      // What is no load balancer any more has none to report.
      return withField(prepared, 'status', { ...part(prepared, 'status'), loadBalancer: {} });
    },
    check: checkService,
    // What may not change is said first.
    updateChecksAlone: true,
    checkUpdate(errors, object, old) {
      checkServiceUpdate(errors, object, old);
      checkService(errors, object);
    },
    warnings: serviceWarnings,
    status: { check: checkLoadBalancerStatus },
  },
  selectable: selectableAt(['spec.clusterIP', 'spec.type']),
  returnsDeletedObject: true,
});

function serviceWarnings(object: KubeObject): string[] {
  const spec = part(object, 'spec');
  const external = texts(spec, 'externalIPs').length > 0;
  const elsewhere = text(spec, 'type') === 'ExternalName';
  const warnings: string[] = [];
  if (has(object.metadata.annotations ?? {}, TOPOLOGY_HINTS)) {
    warnings.push(`annotation ${TOPOLOGY_HINTS} is deprecated, please use ${TOPOLOGY_MODE} instead`);
  }
  if (isHeadless(spec)) {
    const ignored = 'is ignored for headless services';
    if (text(spec, 'loadBalancerIP') !== '') warnings.push(`spec.loadBalancerIP ${ignored}`);
    if (external) warnings.push(`spec.externalIPs ${ignored}`);
    if (text(spec, 'sessionAffinity') !== 'None') warnings.push(`spec.SessionAffinity ${ignored}`);
  } else if (external && !elsewhere) {
    warnings.push('spec.externalIPs is deprecated and may no longer be implemented in some clusters');
  }
  if (elsewhere && external) warnings.push('spec.externalIPs is ignored when spec.type is "ExternalName"');
  if (!elsewhere && text(spec, 'externalName') !== '') {
    warnings.push('spec.externalName is ignored when spec.type is not "ExternalName"');
  }
  if (text(spec, 'trafficDistribution') === 'PreferClose') {
    warnings.push('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"');
  }
  return warnings;
}
