/** The addresses and ports that services are given, under the original's names. */

import type { Clock } from '@keelson/base';

import { Counter, Gauge, Histogram, type MetricsRegistry } from '../metrics/registry.ts';
import type { AllocationObserver } from '../registry/core/allocation-observer.ts';

/** Prometheus' own. */
const SECONDS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export function allocationMetrics(
  registry: MetricsRegistry,
  clock: Pick<Clock, 'monotonicMs'>,
): AllocationObserver {
  const counter = (name: string, help: string, labels: readonly string[]): Counter =>
    registry.add(new Counter(`kube_apiserver_${name}`, help, labels));
  const given = counter('clusterip_allocator_allocation_total', 'Addresses that services were given.', [
    'cidr',
    'scope',
  ]);
  const refused = counter(
    'clusterip_allocator_allocation_errors_total',
    'Addresses that services could not be given.',
    ['cidr', 'scope'],
  );
  const durations = registry.add(
    new Histogram(
      'kube_apiserver_clusterip_allocator_allocation_duration_seconds',
      'How long it took to give a service an address, seconds.',
      ['cidr'],
      SECONDS,
    ),
  );
  const ports = counter('nodeport_allocator_allocation_total', 'Ports of nodes that services were given.', [
    'scope',
  ]);
  const refusedPorts = counter(
    'nodeport_allocator_allocation_errors_total',
    'Ports of nodes that services could not be given.',
    ['scope'],
  );
  let known: { readonly taken: number; readonly all: number } | undefined;
  const gauge = (
    name: string,
    help: string,
    read: (ports: { taken: number; all: number }) => number,
  ): void => {
    registry.add(
      new Gauge(`kube_apiserver_nodeport_allocator_${name}`, help, [], () =>
        known === undefined ? [] : [[[], read(known)]],
      ),
    );
  };
  gauge('allocated_ports', 'Ports of nodes that are taken.', ({ taken }) => taken);
  gauge('available_ports', 'Ports of nodes that are free.', ({ taken, all }) => all - taken);
  return {
    monotonicMs: () => clock.monotonicMs(),
    address(cidr, scope, seconds) {
      given.add([cidr, scope]);
      durations.observe([cidr], seconds);
    },
    addressRefused: (cidr, scope) => refused.add([cidr, scope]),
    ports: (scope, count) => ports.add([scope], count),
    portRefused: (scope) => refusedPorts.add([scope]),
    portsTaken: (taken, all) => {
      known = { taken, all };
    },
  };
}
