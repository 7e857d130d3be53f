/**
 * Ports that nodes open for services, one each, drawn among the free ones. What is taken is read from the services
 * themselves; writes of this server that are under way at once are kept apart here. Two servers that hand out the
 * same port at the same moment are not told apart.
 *
 * Modelled on initNodePorts and updateNodePorts of kubernetes' pkg/registry/core/service/storage; texts are its own.
 */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { internalError, invalid } from '../../api/status.ts';
import { FieldErrors } from '../../validation/field-errors.ts';
import { count, part, parts, text } from '../../validation/value.ts';
import type { Stores } from '../resource.ts';
import { SPEC } from '../kinds/kind.ts';
import { exposedOnNodes, needsHealthCheck, nodePortsOf } from './service-fields.ts';
import { SERVICE_KIND } from './service-families.ts';

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** Ports a service was given; `settle` when it is known whether it was written. */
export interface PortGrant {
  readonly spec: JsonObject;
  settle(): void;
}

export class NodePorts {
  private readonly range: PortRange;
  /** Given to writes that are under way, or were when a list that is still read began. */
  private readonly pending = new Map<number, number>();
  private readonly settled: number[] = [];
  private listing = 0;

  constructor(range: PortRange) {
    this.range = range;
  }

  /**
   * The spec with a port wherever it needs one.
   *
   * @param before the spec until now; undefined for a new service
   * @param random below a limit
   * @throws ApiError Invalid, InternalError
   */
  async grant(
    service: KubeObject,
    spec: JsonObject,
    before: JsonObject | undefined,
    stores: Stores,
    random: (limit: number) => number,
  ): Promise<PortGrant> {
    if (!exposedOnNodes(spec)) return { spec, settle: () => undefined };
    this.listing += 1;
    try {
      const taken = await portsOfOthers(service, stores);
      for (const port of this.pending.keys()) taken.add(port);
      const draft = new PortDraft(this.range, taken, service.metadata.name ?? '', random);
      const exposed = before === undefined ? draft.created(spec) : draft.updated(spec, before);
      const checked = draft.healthChecked(exposed, before);
      for (const port of draft.own) this.pending.set(port, (this.pending.get(port) ?? 0) + 1);
      return { spec: checked, settle: () => this.settle(draft.own) };
    } finally {
      this.listing -= 1;
      if (this.listing === 0) for (const port of this.settled.splice(0)) this.forget(port);
    }
  }

  private settle(ports: readonly number[]): void {
    // A list that began before the write may lack it: until it was read the ports stay taken.
    if (this.listing > 0) this.settled.push(...ports);
    else for (const port of ports) this.forget(port);
  }

  private forget(port: number): void {
    const left = (this.pending.get(port) ?? 1) - 1;
    if (left === 0) this.pending.delete(port);
    else this.pending.set(port, left);
  }
}

async function portsOfOthers(own: KubeObject, stores: Stores): Promise<Set<number>> {
  const taken = new Set<number>();
  for (const service of (await stores.of({ group: '', resource: 'services' })?.list('')) ?? []) {
    const { name, namespace } = service.metadata;
    if (name === own.metadata.name && namespace === own.metadata.namespace) continue;
    const spec = part(service, 'spec');
    for (const port of nodePortsOf(spec)) taken.add(port);
    const check = count(spec, 'healthCheckNodePort');
    if (check !== 0) taken.add(check);
  }
  return taken;
}

/** The ports of one write. */
class PortDraft {
  /** Taken by this write. */
  readonly own: number[] = [];
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
      throw internalError(`failed to allocate requested HealthCheck NodePort ${asked}: ${wrong}`);
    }
    this.hold(asked);
    return spec;
  }

  private take(port: number, index: number): number {
    const wrong = this.refusal(port);
    if (wrong !== '') {
      const errors = new FieldErrors();
      errors.invalid(SPEC.child('ports').index(index).child('nodePort'), port, wrong);
      throw invalid(SERVICE_KIND, this.name, errors.list);
    }
    return this.hold(port);
  }

  private refusal(port: number): string {
    const { first, last } = this.range;
    if (port < first || port > last) {
      return `provided port is not in the valid range. The range of valid ports is ${first}-${last}`;
    }
    return this.taken.has(port) ? 'provided port is already allocated' : '';
  }

  private hold(port: number): number {
    this.taken.add(port);
    this.own.push(port);
    return port;
  }

  private next(): number {
    const { first, last } = this.range;
    const size = last - first + 1;
    const start = this.random(size);
    for (let step = 0; step < size; step += 1) {
      const port = first + ((start + step) % size);
      if (!this.taken.has(port)) return this.hold(port);
    }
    throw internalError('failed to allocate a nodePort: range is full');
  }
}

/** Whether ports that were not asked for are given. */
function allocates(spec: JsonObject): boolean {
  return text(spec, 'type') === 'NodePort' || spec['allocateLoadBalancerNodePorts'] === true;
}
