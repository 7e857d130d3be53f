/**
 * Ports that nodes open for services, one each, drawn among those that the allocation of the store has free.
 *
 * Modelled on initNodePorts and updateNodePorts of kubernetes' pkg/registry/core/service/storage; texts are its own.
 */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { internalError, invalid } from '../../api/status.ts';
import { FieldErrors } from '../../validation/field-errors.ts';
import { count, parts, text } from '../../validation/value.ts';
import type { AllocationObserver, AllocationScope } from './allocation-observer.ts';
import { SPEC } from '../kinds/kind.ts';
import { describe, PortAllocation, type PortRange } from './port-allocation.ts';
import { exposedOnNodes, needsHealthCheck, nodePortsOf } from './service-fields.ts';
import { SERVICE_KIND } from './service-families.ts';

/** Ports a service was given. */
export interface PortGrant {
  readonly spec: JsonObject;
  /** Those it did not have; free again unless the service is written. */
  readonly fresh: readonly number[];
}

/** What a write of a service is about. */
export interface PortRequest {
  readonly service: KubeObject;
  readonly spec: JsonObject;
  /** The spec until now; undefined for a new service. */
  readonly before: JsonObject | undefined;
  readonly dryRun: boolean;
  /** Below a limit. */
  readonly random: (limit: number) => number;
  readonly observer?: AllocationObserver;
}

/** The spec with a port wherever it needs one. @throws ApiError Invalid, InternalError, of the store */
export async function grantPorts(
  { service, spec, before, dryRun, random, observer }: PortRequest,
  range: PortRange,
  allocation: PortAllocation,
): Promise<PortGrant> {
  if (!exposedOnNodes(spec) || (before !== undefined && hasAll(spec, before))) return { spec, fresh: [] };
  let last: PortDraft | undefined;
  const grant = (taken: Set<number>): PortGrant => {
    const draft = new PortDraft(range, taken, service.metadata.name ?? '', random);
    last = draft;
    const exposed = before === undefined ? draft.created(spec) : draft.updated(spec, before);
    return { spec: draft.healthChecked(exposed, before), fresh: draft.own };
  };
  if (dryRun) return grant(await allocation.taken());
  try {
    return await allocation.change(grant);
  } finally {
    // What was drafted last counts: others may have been faster before.
    if (observer !== undefined) last?.tell(observer);
  }
}

/** Whether a write keeps to the ports it has. */
function hasAll(spec: JsonObject, before: JsonObject): boolean {
  const had = nodePortsOf(before);
  const keeps = parts(spec, 'ports').every((port) => {
    const said = count(port, 'nodePort');
    return said === 0 ? !allocates(spec) : had.has(said);
  });
  return keeps && (!needsHealthCheck(spec) || needsHealthCheck(before));
}

/** The ports of one write. */
class PortDraft {
  /** Taken by this write. */
  readonly own: number[] = [];
  private readonly given = { dynamic: 0, static: 0 };
  private refused: AllocationScope | undefined = undefined;
  private readonly range: PortRange;
  private readonly taken: Set<number>;
  private readonly name: string;
  private readonly random: (limit: number) => number;

  constructor(range: PortRange, taken: Set<number>, name: string, random: (limit: number) => number) {
    this.range = range;
    this.taken = taken;
    this.name = name;
    this.random = random;
  }

  tell(observer: AllocationObserver): void {
    const { dynamic, static: asked } = this.given;
    if (dynamic > 0) observer.ports('dynamic', dynamic);
    if (asked > 0) observer.ports('static', asked);
    if (this.refused !== undefined) observer.portRefused(this.refused);
  }

  /** Ports of one number share a node port, whatever their protocol. */
  created(spec: JsonObject): JsonObject {
    const ports = parts(spec, 'ports');
    const byNumber = new Map<number, number>();
    const exposed = ports.map((port, index) => {
      const said = count(port, 'nodePort');
      if (said === 0 && !allocates(spec)) return port;
      const number = count(port, 'port');
      const shared = byNumber.get(number);
      if (shared === undefined) {
        const asked = ports.find((each) => count(each, 'port') === number && count(each, 'nodePort') !== 0);
        const nodePort = asked === undefined ? this.next() : this.take(count(asked, 'nodePort'), index);
        byNumber.set(number, nodePort);
        return { ...port, nodePort };
      }
      if (said === 0) return { ...port, nodePort: shared };
      if (said !== shared) this.take(said, index);
      return port;
    });
    return exposed.length === 0 ? spec : { ...spec, ports: exposed };
  }

  updated(spec: JsonObject, before: JsonObject): JsonObject {
    const had = nodePortsOf(before);
    const ports = parts(spec, 'ports');
    const asked = new Set<number>();
    for (const [index, port] of ports.entries()) {
      const said = count(port, 'nodePort');
      if (said === 0 || had.has(said) || asked.has(said)) continue;
      this.take(said, index);
      asked.add(said);
    }
    for (const port of had) this.taken.add(port);
    const exposed = ports.map((port) =>
      count(port, 'nodePort') === 0 && allocates(spec) ? { ...port, nodePort: this.next() } : port,
    );
    return exposed.length === 0 ? spec : { ...spec, ports: exposed };
  }

  healthChecked(spec: JsonObject, before: JsonObject | undefined): JsonObject {
    if (!needsHealthCheck(spec) || (before !== undefined && needsHealthCheck(before))) return spec;
    const asked = count(spec, 'healthCheckNodePort');
    if (asked === 0) return { ...spec, healthCheckNodePort: this.next() };
    const wrong = this.refusal(asked);
    if (wrong !== '') {
      this.refused = 'static';
      throw internalError(`failed to allocate requested HealthCheck NodePort ${asked}: ${wrong}`);
    }
    this.hold(asked, 'static');
    return spec;
  }

  private take(port: number, index: number): number {
    const wrong = this.refusal(port);
    if (wrong !== '') {
      this.refused = 'static';
      const errors = new FieldErrors();
      errors.invalid(SPEC.child('ports').index(index).child('nodePort'), port, wrong);
      throw invalid(SERVICE_KIND, this.name, errors.list);
    }
    return this.hold(port, 'static');
  }

  private refusal(port: number): string {
    const { first, last } = this.range;
    if (port < first || port > last) {
      return `provided port is not in the valid range. The range of valid ports is ${describe(this.range)}`;
    }
    return this.taken.has(port) ? 'provided port is already allocated' : '';
  }

  private hold(port: number, scope: AllocationScope): number {
    this.taken.add(port);
    this.given[scope] += 1;
    this.own.push(port);
    return port;
  }

  private next(): number {
    const { first, last } = this.range;
    const size = last - first + 1;
    const start = this.random(size);
    for (let step = 0; step < size; step += 1) {
      const port = first + ((start + step) % size);
      if (!this.taken.has(port)) return this.hold(port, 'dynamic');
    }
    this.refused = 'dynamic';
    throw internalError('failed to allocate a nodePort: range is full');
  }
}

/** Whether ports that were not asked for are given. */
function allocates(spec: JsonObject): boolean {
  return text(spec, 'type') === 'NodePort' || spec['allocateLoadBalancerNodePorts'] === true;
}
