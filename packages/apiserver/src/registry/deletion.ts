/**
 * What a deletion does with an object, settled without touching the store: preconditions, grace, the finalizers
 * of garbage collection, the marks of an object that is going. Pure.
 *
 * Modelled on apiserver's registry/rest delete.go and the store's handling of finalizers.
 */

import type { KubeObject } from '../api/meta.ts';
import { ApiError, conflict, invalid, type FieldError } from '../api/status.ts';
import { formatTime, parseTime } from '../codec/times.ts';
import { FieldErrors } from '../validation/field-errors.ts';
import { FieldPath } from '../validation/field-path.ts';
import { withMetadata } from './generation.ts';
import { FOREGROUND_FINALIZER, ORPHAN_FINALIZER } from './metadata.ts';
import { internalGroup, type ResourceDefinition } from './resource.ts';
import type { PropagationPolicy, StrategyContext } from './strategy.ts';

/** meta.k8s.io/v1 DeleteOptions. */
export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: string;
  readonly orphanDependents?: boolean;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly dryRun?: readonly string[];
  readonly ignoreStoreReadErrorWithClusterBreakingPotential?: boolean;
}

const POLICIES: readonly string[] = ['Foreground', 'Background', 'Orphan'];

/** @throws ApiError Invalid, kind DeleteOptions */
export function checkDeleteOptions(options: DeleteOptions): void {
  const errors = new FieldErrors();
  if (options.orphanDependents !== undefined && options.propagationPolicy !== undefined) {
    errors.invalid(
      FieldPath.of('propagationPolicy'),
      options.propagationPolicy,
      'orphanDependents and deletionPropagation cannot be both set',
    );
  }
  if (options.propagationPolicy !== undefined && !POLICIES.includes(options.propagationPolicy)) {
    errors.notSupported(FieldPath.of('propagationPolicy'), options.propagationPolicy, [...POLICIES, 'nil']);
  }
  errors.list.push(...dryRunErrors(options.dryRun ?? []));
  if (errors.size > 0) throw invalid({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, '', errors.list);
}

/** `dryRun` may say `All`, nothing else. */
export function dryRunErrors(dryRun: readonly string[]): FieldError[] {
  const errors = new FieldErrors();
  if (dryRun.some((value) => value !== 'All')) {
    errors.notSupported(FieldPath.of('dryRun'), dryRun, ['All']);
  }
  return errors.list;
}

/** What is to be done with an object that is being deleted. */
export type Deletion =
  /** It is gone already as far as possible; nothing is written. */
  | { readonly kind: 'pending' }
  /** Remove it. */
  | { readonly kind: 'remove' }
  /** Write this; it stays while finalizers or its grace period last. */
  | { readonly kind: 'mark'; readonly object: KubeObject }
  /** Write this, then remove it: grace that ends now. */
  | { readonly kind: 'mark-and-remove'; readonly object: KubeObject };

/**
 * @param object the newest state
 * @throws ApiError Conflict for a precondition that fails
 */
export function planDeletion(
  definition: ResourceDefinition,
  object: KubeObject,
  options: DeleteOptions,
  context: StrategyContext,
): Deletion {
  checkPreconditions(definition, object, options);
  const graceful = graceOf(definition, object, options, context);
  if (graceful.kind === 'pending') return graceful;
  const marked = graceful.kind === 'graceful' ? graceful.object : object;
  const finalizers = garbageFinalizers(definition, marked, options, context);
  const changed = finalizers === undefined ? marked : withMetadata(marked, { finalizers });
  const held =
    (changed.metadata.finalizers ?? []).length > 0 || definition.hooks?.removable?.(changed) === false;
  if (graceful.kind === 'graceful') {
    return held || graceful.seconds > 0
      ? { kind: 'mark', object: changed }
      : { kind: 'mark-and-remove', object: changed };
  }
  if (!held) return { kind: 'remove' };
  const going = markDeleting(changed, context.nowMs);
  return { kind: 'mark', object: definition.hooks?.terminating?.(going) ?? going };
}

function checkPreconditions(
  definition: ResourceDefinition,
  { metadata }: KubeObject,
  options: DeleteOptions,
): void {
  const { preconditions } = options;
  const resource = { group: internalGroup(definition), resource: definition.kind };
  if (preconditions?.uid !== undefined && preconditions.uid !== metadata.uid) {
    throw conflict(
      resource,
      metadata.name ?? '',
      `the UID in the precondition (${preconditions.uid}) does not match the UID in record (${metadata.uid}). The object might have been deleted and then recreated`,
    );
  }
  if (
    preconditions?.resourceVersion !== undefined &&
    preconditions.resourceVersion !== metadata.resourceVersion
  ) {
    throw conflict(
      resource,
      metadata.name ?? '',
      `the ResourceVersion in the precondition (${preconditions.resourceVersion}) does not match the ResourceVersion in record (${metadata.resourceVersion}). The object might have been modified`,
    );
  }
}

type Grace =
  | { readonly kind: 'pending' }
  | { readonly kind: 'none' }
  | { readonly kind: 'graceful'; readonly object: KubeObject; readonly seconds: number };

/** A negative period stands for one second. */
function seconds(period: number | null | undefined): number | undefined {
  if (period === undefined || period === null) return undefined;
  return period < 0 ? 1 : period;
}

function graceOf(
  { strategy }: ResourceDefinition,
  object: KubeObject,
  options: DeleteOptions,
  context: StrategyContext,
): Grace {
  if (strategy.checkGracefulDelete === undefined) return { kind: 'none' };
  const { metadata } = object;
  const requested = seconds(options.gracePeriodSeconds);
  if (isDeleting(object)) {
    const current = seconds(metadata.deletionGracePeriodSeconds);
    if (current === undefined) return { kind: 'none' };
    // A grace period may only become shorter.
    if (requested === undefined || requested >= current) return { kind: 'pending' };
    const ends = parseTime(metadata.deletionTimestamp ?? '')?.seconds ?? Math.floor(context.nowMs / 1000);
    return {
      kind: 'graceful',
      seconds: requested,
      object: withMetadata(object, {
        deletionTimestamp: formatTime(ends - current + requested),
        deletionGracePeriodSeconds: requested,
      }),
    };
  }
  const period = strategy.checkGracefulDelete(object, requested, context);
  if (period === undefined) return { kind: 'none' };
  return {
    kind: 'graceful',
    seconds: period,
    object: withMetadata(object, {
      deletionTimestamp: formatTime(Math.floor(context.nowMs / 1000) + period),
      deletionGracePeriodSeconds: period,
      ...raisedGeneration(object),
    }),
  };
}

/** Whether somebody began to delete it. */
export function isDeleting({ metadata }: KubeObject): boolean {
  return metadata.deletionTimestamp !== undefined && metadata.deletionTimestamp !== null;
}

/** The object with the marks of a deletion that waits for finalizers. */
function markDeleting(object: KubeObject, nowMs: number): KubeObject {
  const { metadata } = object;
  const now = Math.floor(nowMs / 1000);
  const ends = parseTime(metadata.deletionTimestamp ?? '')?.seconds;
  return withMetadata(object, {
    ...(ends === undefined ? raisedGeneration(object) : {}),
    deletionTimestamp: ends === undefined || ends > now ? formatTime(now) : metadata.deletionTimestamp,
    deletionGracePeriodSeconds: 0,
  });
}

/** A deletion that begins is a change of what is wanted, for kinds that count those. */
function raisedGeneration({ metadata }: KubeObject): { readonly generation?: number } {
  const generation = metadata.generation ?? 0;
  return generation > 0 ? { generation: generation + 1 } : {};
}

/** An update that takes away the last thing a deletion waits for removes the object instead. */
export function deletesByUpdate(
  definition: ResourceDefinition,
  object: KubeObject,
  old: KubeObject,
): boolean {
  if ((object.metadata.finalizers ?? []).length > 0 || !isDeleting(old)) return false;
  if (definition.hooks?.removable?.(object) === false) return false;
  return (seconds(old.metadata.deletionGracePeriodSeconds) ?? 0) === 0;
}

/** The finalizers with which garbage collection is told what becomes of dependents; undefined: as they are. */
function garbageFinalizers(
  { strategy }: ResourceDefinition,
  { metadata }: KubeObject,
  options: DeleteOptions,
  context: StrategyContext,
): readonly string[] | undefined {
  const before = metadata.finalizers ?? [];
  const policy = policyOf(
    before,
    options,
    () => strategy.defaultPropagationPolicy?.(context) ?? 'Background',
  );
  const after = before.filter((name) => name !== ORPHAN_FINALIZER && name !== FOREGROUND_FINALIZER);
  if (policy === 'Orphan') after.push(ORPHAN_FINALIZER);
  if (policy === 'Foreground') after.push(FOREGROUND_FINALIZER);
  const same = after.length === before.length && after.every((name) => before.includes(name));
  return same ? undefined : after;
}

function policyOf(
  finalizers: readonly string[],
  options: DeleteOptions,
  byDefault: () => PropagationPolicy,
): PropagationPolicy {
  if (options.orphanDependents !== undefined) return options.orphanDependents ? 'Orphan' : 'Background';
  switch (options.propagationPolicy) {
    case 'Orphan':
    case 'Background':
    case 'Foreground':
      return options.propagationPolicy;
    default:
  }
  for (const name of finalizers) {
    if (name === ORPHAN_FINALIZER) return 'Orphan';
    if (name === FOREGROUND_FINALIZER) return 'Foreground';
  }
  return byDefault();
}

/** The Status of a deletion that is done. */
export function deletedStatus(definition: ResourceDefinition, { metadata }: KubeObject): KubeObject {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: {
      ...(metadata.name === undefined ? {} : { name: metadata.name }),
      ...(definition.group === '' ? {} : { group: definition.group }),
      kind: definition.resource,
      ...(metadata.uid === undefined ? {} : { uid: metadata.uid }),
    },
  };
}

/** A name that is taken by an object on its way out says so. */
export function beingDeleted(error: ApiError): ApiError {
  return new ApiError({ ...error.status, message: `object is being deleted: ${error.status.message}` });
}
