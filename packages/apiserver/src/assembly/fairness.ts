/**
 * Priority and fairness as a server has it: the filter, told of schemas and levels by informers, the condition of each
 * schema that says whether its level is there, and the tables under /debug.
 */

import { toError, type Clock, type Logger, type Timer } from '@keelson/base';

import type { ApiResponse, Filter, Handler } from '../api/exchange.ts';
import type { JsonObject } from '../api/json.ts';
import type { KubeObject } from '../api/meta.ts';
import { hasReason } from '../api/status.ts';
import { mandatoryObjects } from '../bootstrap/flow-control-objects.ts';
import { storeOf } from '../bootstrap/ensure.ts';
import { formatTime } from '../codec/times.ts';
import { fairness } from '../filters/fairness.ts';
import { dumpLevels, dumpQueues, dumpRequests } from '../flowcontrol/dumps.ts';
import { FlowControl } from '../flowcontrol/flow-control.ts';
import { FlowMetrics } from '../flowcontrol/flow-metrics.ts';
import { WatchTracker } from '../flowcontrol/watch-tracker.ts';
import type { ObjectStats } from '../flowcontrol/work-estimate.ts';
import { Informer } from '../informer/informer.ts';
import { InformerSet } from '../informer/informer-set.ts';
import { ObjectCache } from '../informer/object-cache.ts';
import type { MetricsRegistry } from '../metrics/registry.ts';
import type { ServerConfig } from '../options/config.ts';
import type { ObjectStore } from '../registry/resource.ts';
import type { Scheme } from '../registry/scheme.ts';
import type { SubresourceStrategy } from '../registry/strategy.ts';
import { part, parts, text } from '../validation/value.ts';

export interface FairnessParts {
  readonly config: Pick<ServerConfig, 'readingMax' | 'mutatingMax' | 'requestTimeoutMs'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  /** What is known of a resource's objects. */
  readonly objects: (group: string, resource: string) => ObjectStats | undefined;
}

const GROUP = 'flowcontrol.apiserver.k8s.io';
const SCHEMAS = { group: GROUP, resource: 'flowschemas' };
const LEVELS = { group: GROUP, resource: 'prioritylevelconfigurations' };
/** A request waits a quarter of its time at most, as the original. */
const WAIT_SHARE = 4;
/** Schemas and levels come together: conditions are written when it has been quiet for so long. */
const SETTLE_MS = 100;
/** After a write that failed. */
const RETRY_MS = 5_000;
const DANGLING = 'Dangling';

export class Fairness {
  readonly filter: Filter;
  /** Under /debug/api_priority_and_fairness/. */
  readonly paths: ReadonlyMap<string, Handler>;
  private readonly given: FairnessParts;
  private readonly control: FlowControl;
  private readonly informers = new InformerSet();
  private readonly schemas = new ObjectCache();
  private store: ObjectStore | undefined = undefined;
  private settling: Timer | undefined = undefined;
  private writing: Promise<void> = Promise.resolve();
  private stopped = false;

  constructor(given: FairnessParts) {
    this.given = given;
    const { config, clock, metrics, objects } = given;
    const control = new FlowControl({
      clock,
      serverSeats: Math.max(1, config.readingMax + config.mutatingMax),
      waitMs: config.requestTimeoutMs / WAIT_SHARE,
      mandatory: mandatoryObjects(),
      metrics: new FlowMetrics(metrics),
    });
    this.control = control;
    this.filter = fairness({ control, watches: new WatchTracker(), objects });
    const root = '/debug/api_priority_and_fairness';
    this.paths = new Map<string, Handler>([
      [`${root}/dump_priority_levels`, () => plain(dumpLevels(control.levels()))],
      [`${root}/dump_queues`, () => plain(dumpQueues(control.levels()))],
      [
        `${root}/dump_requests`,
        ({ query }) => {
          const details = (query.get('includeRequestDetails') ?? '') !== '';
          const offsetMs = clock.nowMs() - clock.monotonicMs();
          return plain(dumpRequests(control.levels(), details, (ms) => ms + offsetMs));
        },
      ],
    ]);
  }

  /** Begins to follow the store. */
  start(scheme: Scheme): void {
    const { clock, logger } = this.given;
    const { control, schemas, informers } = this;
    this.store = storeOf(scheme, SCHEMAS);
    const levels = scheme.store(LEVELS);
    const source = scheme.store(SCHEMAS);
    if (levels === undefined || source === undefined) return;
    informers.add(
      new Informer({
        name: `${LEVELS.resource}.${GROUP}`,
        source: levels,
        clock,
        logger,
        handler: {
          put: (object) => {
            control.putLevel(object);
            this.look(SETTLE_MS);
          },
          remove: (_namespace, name) => {
            control.removeLevel(name);
            this.look(SETTLE_MS);
          },
        },
      }),
    );
    informers.add(
      new Informer({
        name: `${SCHEMAS.resource}.${GROUP}`,
        source,
        clock,
        logger,
        handler: {
          put: (object) => {
            schemas.put(object);
            control.putSchema(object);
            this.look(SETTLE_MS);
          },
          remove: (namespace, name) => {
            schemas.remove(namespace, name);
            control.removeSchema(name);
          },
        },
      }),
    );
    informers.start();
    control.start();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.settling?.cancel();
    this.control.stop();
    await Promise.all([this.informers.stop(), this.writing]);
  }

  private look(delayMs: number): void {
    if (this.stopped) return;
    this.settling?.cancel();
    this.settling = this.given.clock.setTimer(delayMs, () => {
      this.writing = this.writing.then(() => this.writeConditions());
    });
  }

  private async writeConditions(): Promise<void> {
    const { store, given } = this;
    if (store === undefined) return;
    const now = formatTime(Math.floor(given.clock.nowMs() / 1_000));
    const strategy = statusStrategy(store);
    for (const schema of this.schemas.list()) {
      if (this.stopped) return;
      if (this.withCondition(schema, now) === schema) continue;
      try {
        await store.change('', schema.metadata.name ?? '', (current) => this.withCondition(current, now), {
          dryRun: false,
          ...(strategy === undefined ? {} : { strategy }),
        });
      } catch (error) {
        if (hasReason(error, 'NotFound')) continue;
        given.logger.warn('the condition of a flow schema could not be written', {
          schema: schema.metadata.name ?? '',
          error: toError(error).message,
        });
        this.look(RETRY_MS);
        return;
      }
    }
  }

  /** The schema with a condition that says whether its level is there; the same one where it does. */
  private withCondition(schema: KubeObject, now: string): KubeObject {
    const level = text(part(part(schema, 'spec'), 'priorityLevelConfiguration'), 'name');
    const there = this.control.hasLevel(level);
    const named = `This FlowSchema references the PriorityLevelConfiguration object named ${JSON.stringify(level)}`;
    const wanted = {
      type: DANGLING,
      status: there ? 'False' : 'True',
      reason: there ? 'Found' : 'NotFound',
      message: there ? `${named} and it exists` : `${named} but there is no such object`,
    };
    const status = part(schema, 'status');
    const conditions = parts(status, 'conditions');
    const old = conditions.find((condition) => text(condition, 'type') === DANGLING);
    if (
      old !== undefined &&
      text(old, 'status') === wanted.status &&
      text(old, 'message') === wanted.message
    ) {
      return schema;
    }
    const since =
      old !== undefined && text(old, 'status') === wanted.status ? text(old, 'lastTransitionTime') : now;
    const { type, status: value, reason, message } = wanted;
    const condition: JsonObject = { type, status: value, lastTransitionTime: since, reason, message };
    const others = conditions.filter((each) => each !== old);
    return { ...schema, status: { ...status, conditions: [...others, condition] } };
  }
}

function statusStrategy({ definition }: ObjectStore): SubresourceStrategy | undefined {
  const status = definition.subresources.find(({ name }) => name === 'status');
  return status?.backing.kind === 'update' ? status.backing.strategy : undefined;
}

function plain(table: string): Promise<ApiResponse> {
  return Promise.resolve({
    kind: 'bytes',
    code: 200,
    contentType: 'text/plain; charset=utf-8',
    body: Buffer.from(table),
  });
}
