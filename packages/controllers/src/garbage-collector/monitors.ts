/**
 * The watches of garbage collection: one for each resource that can be deleted, listed and watched, metadata alone,
 * begun and ended as the server's resources come and go. Objects go into the graph; nothing else is kept of them.
 */

import type { Timer } from '@keelson/base';
import {
  apiVersionOf,
  KubeError,
  Reflector,
  type Discovery,
  type KubeObject,
  type Served,
  type ServedResource,
} from '@keelson/kube-client';

import type { ControllerParts } from '../controller.ts';
import { identityOf, type Graph } from './graph.ts';

export interface MonitorOptions {
  /** How often the server is asked what it serves, ms; 30 s as the original. It costs two answers "not modified". */
  readonly periodMs?: number;
  /** Resources that own nothing and are owned by nobody, `group/resource`. */
  readonly ignored?: ReadonlySet<string>;
}

const PERIOD_MS = 30_000;
/** After a CRD or an APIService changed, the server needs a moment until it serves what it says; it is asked then. */
const SETTLE_MS: readonly number[] = [500, 2_000, 5_000];
const IGNORED: ReadonlySet<string> = new Set(['/events', 'events.k8s.io/events']);
/** Whose changes change what is served. */
const DEFINITIONS: ReadonlySet<string> = new Set([
  'apiextensions.k8s.io/customresourcedefinitions',
  'apiregistration.k8s.io/apiservices',
]);

class Monitor {
  readonly resource: ServedResource;
  readonly reflector: Reflector;
  /** uids of what the watch has seen and not lost. */
  readonly known: Set<string>;

  constructor(resource: ServedResource, known: Set<string>, reflector: Reflector) {
    this.resource = resource;
    this.known = known;
    this.reflector = reflector;
  }
}

export class Monitors {
  private readonly parts: ControllerParts;
  private readonly graph: Graph;
  private readonly discovery: Discovery;
  private readonly periodMs: number;
  private readonly ignored: ReadonlySet<string>;
  private readonly monitors = new Map<string, Monitor>();
  private readonly stopping = new AbortController();
  private readonly ending = new Set<Promise<void>>();
  private readonly changed: () => void;
  private served: Served | undefined;
  private syncing: Promise<void> | undefined;
  /** How often it was asked since something made it likely that more is served; -1: it is not likely. */
  private asked = -1;
  private timer: Timer | undefined;
  private timerDueMs = Infinity;

  /** @param changed called when a monitor got its first state, or the resources changed */
  constructor(parts: ControllerParts, graph: Graph, changed: () => void, options: MonitorOptions = {}) {
    this.parts = parts;
    this.graph = graph;
    this.changed = changed;
    this.discovery = parts.discovery;
    this.periodMs = options.periodMs ?? PERIOD_MS;
    this.ignored = options.ignored ?? IGNORED;
    parts.metrics.gauge(
      'garbagecollector_controller_monitors',
      'Resources that garbage collection watches',
      {},
      () => this.monitors.size,
    );
    parts.metrics.gauge(
      'garbagecollector_controller_graph_nodes',
      'Objects that garbage collection knows',
      {},
      () => graph.size,
    );
  }

  start(): void {
    this.sync();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    this.timer?.cancel();
    await this.syncing;
    for (const monitor of this.monitors.values()) this.end(monitor);
    await Promise.all(this.ending);
  }

  /** Whether the resources are known and each one's objects are in the graph. */
  get synced(): boolean {
    if (this.served === undefined) return false;
    for (const { reflector } of this.monitors.values()) if (!reflector.synced) return false;
    return true;
  }

  /** Asks soon what is served: a kind was met that is not known. */
  syncSoon(): void {
    this.asked = 0;
    this.arm(SETTLE_MS[0]);
  }

  private sync(): void {
    if (this.stopping.signal.aborted || this.syncing !== undefined) return;
    this.timer?.cancel();
    this.timerDueMs = Infinity;
    this.syncing = this.syncOnce().finally(() => {
      this.syncing = undefined;
      this.arm(this.nextMs());
    });
  }

  private nextMs(): number {
    if (this.asked < 0) return this.periodMs;
    this.asked += 1;
    const settleMs = SETTLE_MS[this.asked];
    if (settleMs === undefined) this.asked = -1;
    return Math.min(settleMs ?? Infinity, this.periodMs);
  }

  private arm(delayMs: number): void {
    if (this.stopping.signal.aborted) return;
    const { clock } = this.parts;
    const dueMs = clock.monotonicMs() + delayMs;
    if (dueMs >= this.timerDueMs) return;
    this.timer?.cancel();
    this.timerDueMs = dueMs;
    this.timer = clock.setTimer(delayMs, () => this.sync());
  }

  private async syncOnce(): Promise<void> {
    const { logger, metrics } = this.parts;
    try {
      const served = await this.discovery.refresh(this.stopping.signal);
      if (this.stopping.signal.aborted || served === this.served) return;
      this.served = served;
      this.adopt(served);
      this.changed();
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      if (this.stopping.signal.aborted) return;
      metrics
        .counter(
          'garbagecollector_controller_resources_sync_error_total',
          'Number of garbage collector resources sync errors',
        )
        .add();
      logger.warn('what is served could not be learned', { error: error.message });
    }
  }

  private adopt(served: Served): void {
    const wanted = new Map<string, ServedResource>();
    for (const resource of served.preferred) {
      const key = `${resource.group}/${resource.resource}`;
      const able = ['delete', 'list', 'watch'].every((verb) => resource.verbs.includes(verb));
      if (able && !this.ignored.has(key)) wanted.set(key, resource);
    }
    for (const [key, monitor] of this.monitors) {
      const resource = wanted.get(key);
      const { group, version } = monitor.resource;
      if (resource?.version === version) continue;
      // Of a group that does not answer just now, nothing is known to be gone.
      if (served.failures.has(apiVersionOf(group, version))) continue;
      this.monitors.delete(key);
      this.end(monitor);
      // Another version of the same objects goes on with what is known.
      if (resource !== undefined) this.begin(key, resource, monitor.known);
      else for (const uid of monitor.known) this.graph.forget(uid);
    }
    for (const [key, resource] of wanted) {
      if (!this.monitors.has(key)) this.begin(key, resource, new Set());
    }
  }

  private begin(key: string, resource: ServedResource, known: Set<string>): void {
    const { client, clock, prng, logger } = this.parts;
    const { group, version, kind } = resource;
    const apiVersion = apiVersionOf(group, version);
    const definitions = DEFINITIONS.has(key);
    const see = (object: KubeObject): void => {
      const { uid } = object.metadata;
      if (uid === undefined || uid === '') return;
      known.add(uid);
      this.graph.observe(identityOf(apiVersion, kind, object), object);
    };
    const lose = (uid: string): void => {
      known.delete(uid);
      this.graph.remove(uid);
    };
    const reflector = new Reflector({
      client,
      clock,
      prng,
      logger,
      resource,
      metadataOnly: true,
      target: {
        replace: (objects) => {
          const uids = new Set(objects.map(({ metadata }) => metadata.uid));
          for (const object of objects) see(object);
          for (const uid of [...known]) if (!uids.has(uid)) lose(uid);
          if (definitions && this.synced) this.syncSoon();
          this.changed();
        },
        change: (type, object) => {
          if (type !== 'DELETED') see(object);
          else if (object.metadata.uid !== undefined) lose(object.metadata.uid);
          if (definitions) this.syncSoon();
        },
      },
    });
    this.monitors.set(key, new Monitor(resource, known, reflector));
    reflector.start();
  }

  private end(monitor: Monitor): void {
    const ended = monitor.reflector.stop().finally(() => this.ending.delete(ended));
    this.ending.add(ended);
  }
}
