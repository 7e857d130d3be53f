/**
 * Follows the CustomResourceDefinitions: settles who has which names, serves what is defined as long as it is, and
 * clears away the objects of a definition that is being deleted. One definition at a time, so that names have one
 * owner; what fails is tried again.
 *
 * Modelled on apiextensions-apiserver's naming, establishing, finalizing and nonstructuralschema controllers and its
 * crdHandler.
 */

import { toError, type Clock, type Logger, type Timer } from '@keelson/base';

import type { KubeObject } from '../api/meta.ts';
import { owned, ownText } from '../api/own-text.ts';
import { ApiError, hasReason } from '../api/status.ts';
import { formatTime } from '../codec/times.ts';
import { RegexCache } from '../cel/regex.ts';
import { Informer } from '../informer/informer.ts';
import { isDeleting } from '../registry/deletion.ts';
import { withMetadata } from '../registry/generation.ts';
import type { ResourceDefinition } from '../registry/resource.ts';
import type { Scheme } from '../registry/scheme.ts';
import type { ResourceStore } from '../registry/store.ts';
import { part, text, withFieldAt } from '../validation/value.ts';
import { approvalCondition } from './approval.ts';
import { isConditionTrue, withCondition, withoutCondition } from './conditions.ts';
import { establishment } from './conversion-bundle.ts';
import { RENAME, type Converter } from './converter.ts';
import { WebhookConverter, type ConversionCalls } from './webhook-converter.ts';
import { CustomResource } from './custom-resource.ts';
import { CompiledSchemas } from './custom-schema.ts';
import { APIEXTENSIONS, CLEANUP_FINALIZER } from './definitions.ts';
import { CustomOpenApi } from './open-api.ts';
import { nonStructuralCondition } from './non-structural.ts';
import { acceptNames, type Names, namesOf } from './naming.ts';
import type { Rules } from './rules.ts';
import { withStatusOwner } from './status-owner.ts';

export interface CustomResourcesOptions {
  readonly scheme: Scheme;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly rules: Rules;
  /** How webhooks are called that convert objects. */
  readonly calls?: ConversionCalls | undefined;
}

const DEFINITIONS = { group: APIEXTENSIONS, resource: 'customresourcedefinitions' };

/** How long watches of a definition's objects outlive it: the original waits as long before it destroys their storage. */
const LAST_EVENTS_MS = 1_000;
const RETRY_MS = 100;
const RETRY_MAX_MS = 30_000;
/** Between looks whether the objects of a definition are gone that wait for their finalizers. */
const CLEANUP_MS = 1_000;
const DELETED_AT_ONCE = 32;

/** Checks nothing: the server writes what it knows. */
const UNCHECKED = { validateUpdate: () => [] };

/** What is served of a definition. */
interface Serving {
  readonly uid: string;
  /** Another one: it has to be made anew. */
  readonly signature: string;
  readonly resource: CustomResource;
  /** As the scheme has it. */
  readonly definition: ResourceDefinition;
}

export class CustomResources {
  private readonly options: CustomResourcesOptions;
  private readonly informer: Informer;
  private readonly compiled = new CompiledSchemas();
  private readonly patterns = new RegexCache();
  /** By the name of the definition. */
  private readonly serving = new Map<string, Serving>();
  /** Names of each definition that are its own now. */
  private readonly names = new Map<string, { readonly group: string; readonly names: Names }>();
  /** Definitions to look at; undefined: read it first. */
  private readonly queue = new Map<string, KubeObject | undefined>();
  private readonly failures = new Map<string, number>();
  private readonly timers = new Map<string, Timer>();
  /** Watches of resources that are served no more, until they end. */
  private readonly ending = new Map<() => void, Timer>();
  private working: Promise<void> | undefined = undefined;
  /** Counts what came, went or changed among what is served. */
  private changes = 0;
  private settledOnce = false;
  private stopped = false;

  constructor(options: CustomResourcesOptions) {
    this.options = options;
    const { scheme, clock, logger } = options;
    const store = scheme.store(DEFINITIONS);
    if (store === undefined) throw new Error('customresourcedefinitions are not served');
    this.informer = new Informer({
      name: 'customresourcedefinitions.apiextensions.k8s.io',
      source: store,
      handler: {
        put: (object) => this.enqueue(ownText(object.metadata.name ?? ''), object),
        remove: (_namespace, name) => this.enqueue(name, undefined),
      },
      clock,
      logger,
    });
  }

  start(): void {
    this.informer.start();
    void this.whenSettled().then(() => {
      this.settledOnce = true;
    });
  }

  async stop(): Promise<void> {
    this.stopped = true;
    for (const timer of this.timers.values()) timer.cancel();
    this.timers.clear();
    for (const [end, timer] of this.ending) {
      timer.cancel();
      end();
    }
    this.ending.clear();
    await this.informer.stop();
    await this.working;
  }

  /** Resolves when every definition that was there at the start is served. */
  async whenSettled(): Promise<void> {
    await this.informer.whenSynced();
    while (this.working !== undefined) await this.working;
  }

  /** Whether what was defined at the start has been served once. */
  get settled(): boolean {
    return this.settledOnce;
  }

  /** What OpenAPI says of what is served. */
  readonly openApi = new CustomOpenApi(
    () => this.resources(),
    () => this.changes,
  );

  private *resources(): IterableIterator<CustomResource> {
    for (const { resource } of this.serving.values()) yield resource;
  }

  private get store(): ResourceStore {
    const store = this.options.scheme.store(DEFINITIONS);
    if (store === undefined) throw new Error('customresourcedefinitions are not served');
    return store;
  }

  private enqueue(name: string, object: KubeObject | undefined): void {
    if (this.stopped) return;
    this.timers.get(name)?.cancel();
    this.timers.delete(name);
    // An older one that waits is passed over; the newest goes to the end.
    this.queue.delete(name);
    this.queue.set(name, object);
    this.working ??= this.work();
  }

  private async work(): Promise<void> {
    await Promise.resolve();
    while (!this.stopped) {
      const next = this.queue.entries().next();
      if (next.done === true) break;
      const [name, object] = next.value;
      this.queue.delete(name);
      try {
        await this.settle(name, object);
        this.failures.delete(name);
      } catch (error) {
        if (this.stopped) break;
        const failures = (this.failures.get(name) ?? 0) + 1;
        this.failures.set(name, failures);
        // A race with another writer is no failure: the newer state comes by itself.
        if (!hasReason(error, 'Conflict')) {
          this.options.logger.warn('a custom resource definition could not be settled', {
            name,
            error: toError(error).message,
          });
        }
        this.later(name, Math.min(RETRY_MS * 2 ** (failures - 1), RETRY_MAX_MS));
      }
    }
    // At once, not in a callback behind the promise: what is queued between the two would be left lying.
    this.working = undefined;
  }

  private later(name: string, delayMs: number): void {
    if (this.stopped) return;
    this.timers.get(name)?.cancel();
    this.timers.set(
      name,
      this.options.clock.setTimer(delayMs, () => {
        this.timers.delete(name);
        this.enqueue(name, undefined);
      }),
    );
  }

  private async settle(name: string, seen: KubeObject | undefined): Promise<void> {
    const crd = seen ?? (await this.read(name));
    if (crd === undefined) {
      this.forget(name);
      return;
    }
    const { group } = this.note(crd);
    const settled = this.settledStatus(crd);
    const established = isConditionTrue(settled, 'Established');
    // Who reads that it is established finds it served; who finds it in discovery reads a status that stays.
    if (established) this.serve(name, settled);
    if (settled !== crd) {
      const written = await this.store.change(
        '',
        name,
        (live) => this.owned(live, this.settledStatus(live)),
        {
          dryRun: false,
          strategy: UNCHECKED,
        },
      );
      this.note(written);
      this.again(group, name);
    }
    const serving = this.serving.get(name);
    if (established && serving !== undefined) this.options.scheme.announce(serving.definition);
    if (isDeleting(crd) && (crd.metadata.finalizers ?? []).includes(CLEANUP_FINALIZER)) {
      await this.clearAway(name, crd);
    }
  }

  private async read(name: string): Promise<KubeObject | undefined> {
    try {
      return await this.store.get('', name);
    } catch (error) {
      if (hasReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  /** Remembers whose names are whose. */
  private note(crd: KubeObject): { readonly group: string } {
    const group = ownText(text(part(crd, 'spec'), 'group'));
    const names = namesOf(owned(part(part(crd, 'status'), 'acceptedNames')));
    this.names.set(ownText(crd.metadata.name ?? ''), { group, names });
    return { group };
  }

  /** The definition is gone: its names are free. */
  private forget(name: string): void {
    const gone = this.names.get(name);
    this.names.delete(name);
    const serving = this.serving.get(name);
    if (serving !== undefined) {
      this.serving.delete(name);
      this.release(serving);
      this.changes += 1;
      this.endLater(this.options.scheme.remove(serving.definition));
    }
    if (gone !== undefined) this.again(gone.group, name);
  }

  /** Ends the watches of a resource when they have been told that its objects are gone. */
  private endLater(end: () => void): void {
    const timer = this.options.clock.setTimer(LAST_EVENTS_MS, () => {
      this.ending.delete(end);
      end();
    });
    this.ending.set(end, timer);
  }

  /** Others of the group may have waited for a name. */
  private again(group: string, name: string): void {
    for (const [other, known] of this.names) {
      if (other !== name && known.group === group && !this.queue.has(other)) this.enqueue(other, undefined);
    }
  }

  /** The definition with the status that its state and the others' names make; the same one where it has it. */
  private settledStatus(crd: KubeObject): KubeObject {
    const now = formatTime(Math.floor(this.options.clock.nowMs() / 1000));
    const group = text(part(crd, 'spec'), 'group');
    const others: Names[] = [];
    for (const [name, known] of this.names) {
      if (name !== crd.metadata.name && known.group === group) others.push(known.names);
    }
    const { accepted, condition } = acceptNames(crd, others, this.isTaken(crd));
    let next = accepted === undefined ? crd : withFieldAt(crd, ['status', 'acceptedNames'], accepted);
    next = withCondition(next, condition, now);
    if (!isConditionTrue(next, 'Established')) {
      next = withCondition(next, establishment(crd, condition.status === 'True'), now);
    }
    const violations = nonStructuralCondition(crd);
    next =
      violations === undefined
        ? withoutCondition(next, 'NonStructuralSchema')
        : withCondition(next, violations, now);
    const approval = approvalCondition(crd);
    return approval === undefined
      ? withoutCondition(next, 'KubernetesAPIApprovalPolicyConformant')
      : withCondition(next, approval, now);
  }

  private owned(live: KubeObject, next: KubeObject): KubeObject {
    const now = formatTime(Math.floor(this.options.clock.nowMs() / 1000));
    return withStatusOwner(live, next, this.options.scheme.types, now);
  }

  /** Whether the resource is one of the server's own. */
  private isTaken(crd: KubeObject): boolean {
    const spec = part(crd, 'spec');
    const resource = { group: text(spec, 'group'), resource: text(part(spec, 'names'), 'plural') };
    const there = this.options.scheme.of(resource);
    return there !== undefined && there.definition !== this.serving.get(crd.metadata.name ?? '')?.definition;
  }

  private serve(name: string, crd: KubeObject): void {
    const { scheme, rules, calls } = this.options;
    const uid = ownText(crd.metadata.uid ?? '');
    const signature = JSON.stringify([
      crd.metadata.generation ?? 0,
      namesOf(part(part(crd, 'status'), 'acceptedNames')),
      isDeleting(crd),
    ]);
    const serving = this.serving.get(name);
    if (serving?.uid === uid && serving.signature === signature) return;
    const resource = new CustomResource(crd, {
      compiled: this.compiled,
      patterns: this.patterns,
      rules,
      objectMeta: () => scheme.types.struct('meta.v1.ObjectMeta'),
      converter: (each) => converterOf(each, calls),
    });
    const { definition } = resource;
    if (serving !== undefined) {
      if (serving.definition.resource !== definition.resource) {
        this.endLater(scheme.remove(serving.definition));
      }
      this.release(serving);
    }
    const ready = isDeleting(crd) ? withoutCreation(definition) : definition;
    this.serving.set(name, { uid, signature, resource, definition: ready });
    this.changes += 1;
    const silent = serving?.definition.resource !== definition.resource;
    this.endLater(scheme.add(ready, { silent }));
  }

  /** Watches that end in a moment may still need a schema: it is compiled once more then. */
  private release({ resource }: Serving): void {
    for (const { schema } of resource.versions) this.compiled.forget(schema);
  }

  /** Deletes all objects of a definition, then lets it go. */
  private async clearAway(name: string, crd: KubeObject): Promise<void> {
    const now = formatTime(Math.floor(this.options.clock.nowMs() / 1000));
    const write = async (change: (live: KubeObject) => KubeObject): Promise<void> => {
      try {
        const owned = (live: KubeObject): KubeObject => this.owned(live, change(live));
        await this.store.change('', name, owned, { dryRun: false, strategy: UNCHECKED });
      } catch (error) {
        if (!hasReason(error, 'NotFound')) throw error;
      }
    };
    const serving = this.serving.get(name);
    const store = serving && this.options.scheme.store(serving.definition);
    const established = isConditionTrue(crd, 'Established') && store !== undefined;
    if (established) {
      await write((live) =>
        withCondition(
          live,
          {
            type: 'Terminating',
            status: 'True',
            reason: 'InstanceDeletionInProgress',
            message: 'CustomResource deletion is in progress',
          },
          now,
        ),
      );
      if (!(await this.deleteAll(store))) {
        this.later(name, CLEANUP_MS);
        return;
      }
    }
    await write((live) =>
      withMetadata(
        withCondition(
          live,
          established
            ? {
                type: 'Terminating',
                status: 'False',
                reason: 'InstanceDeletionCompleted',
                message: 'removed all instances',
              }
            : {
                type: 'Terminating',
                status: 'False',
                reason: 'NeverEstablished',
                message: 'resource was never established',
              },
          now,
        ),
        { finalizers: (live.metadata.finalizers ?? []).filter((each) => each !== CLEANUP_FINALIZER) },
      ),
    );
  }

  /** @returns whether none is left; those with finalizers stay a while */
  private async deleteAll(store: ResourceStore): Promise<boolean> {
    const objects = await store.list('');
    for (let at = 0; at < objects.length && !this.stopped; at += DELETED_AT_ONCE) {
      await Promise.all(
        objects.slice(at, at + DELETED_AT_ONCE).map(async (object) => {
          if (isDeleting(object)) return;
          try {
            await store.delete(object.metadata.namespace ?? '', object.metadata.name ?? '', {
              dryRun: false,
            });
          } catch (error) {
            if (!hasReason(error, 'NotFound') && !hasReason(error, 'Conflict')) throw error;
          }
        }),
      );
    }
    return objects.length === 0 || (await store.page('', { limit: 1 })).objects.length === 0;
  }
}

/** How objects of a definition become another version's. */
function converterOf(crd: KubeObject, calls: ConversionCalls | undefined): Converter {
  if (text(part(part(crd, 'spec'), 'conversion'), 'strategy') !== 'Webhook') return RENAME;
  if (calls !== undefined) return new WebhookConverter(crd, calls);
  return {
    calls: true,
    convert() {
      throw new ApiError({ code: 500, reason: '', message: 'this server calls no conversion webhooks' });
    },
  };
}

/** Nothing new is made of a kind whose definition goes. */
function withoutCreation(definition: ResourceDefinition): ResourceDefinition {
  return {
    ...definition,
    hooks: {
      beginCreate: () =>
        Promise.reject(
          new ApiError({
            code: 405,
            reason: 'MethodNotAllowed',
            message: 'create not allowed while custom resource definition is terminating',
            details: { group: definition.group, kind: definition.resource },
          }),
        ),
    },
  };
}
