/**
 * What is common to every create and every update, before and after a strategy says its part: what the server
 * sets itself, names it makes, the namespace of the request, metadata, and the checks in their order. Pure but
 * for the random numbers it is given.
 *
 * Modelled on apiserver's registry/rest create.go and update.go; refusals carry their texts.
 */

import type { KubeObject } from '../api/meta.ts';
import { badRequest, invalid } from '../api/status.ts';
import type { Pace, Sliced } from '../api/sliced.ts';
import { formatTime } from '../codec/times.ts';
import { withMetadata } from './generation.ts';
import { metadataErrorsInSlices, metadataUpdateErrorsInSlices, subdomainName } from './metadata.ts';
import { internalGroup, type ResourceDefinition } from './resource.ts';
import type { StrategyContext, SubresourceStrategy } from './strategy.ts';

/** Of a generated name: no vowels, no digits that look like letters. */
const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';
const GENERATED_LENGTH = 5;
/** A name has 63 characters at most where it is a label; the base leaves room for what is appended. */
const GENERATED_BASE_MAX = 63 - GENERATED_LENGTH;
/** How often generateName is tried when the name is taken. */
export const GENERATED_NAME_ATTEMPTS = 8;

/** A name from metadata.generateName. */
export function generatedName(base: string, random: (limit: number) => number): string {
  let name = base.slice(0, GENERATED_BASE_MAX);
  for (let left = GENERATED_LENGTH; left > 0; left -= 1) name += ALPHABET[random(ALPHABET.length)];
  return name;
}

/** Whether the server is to make the name. */
export function needsName({ metadata }: KubeObject): boolean {
  return (metadata.name ?? '') === '' && (metadata.generateName ?? '') !== '';
}

/**
 * The object in the namespace of the request.
 *
 * @param namespace of the URL; empty for what lies in none
 * @throws ApiError BadRequest when the object says another
 */
export function inNamespace(object: KubeObject, namespace: string): KubeObject {
  const own = object.metadata.namespace ?? '';
  if (own === namespace) return object;
  if (own === '' || namespace === '') {
    return withMetadata(object, { namespace: namespace === '' ? undefined : namespace });
  }
  throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
}

/** What the server alone says of a new object: a fresh uid, the time; what clients said of these is gone. */
export function withSystemFields(object: KubeObject, context: StrategyContext): KubeObject {
  return withMetadata(withoutSelfLink(object), {
    uid: context.uuid(),
    creationTimestamp: formatTime(Math.floor(context.nowMs / 1000)),
    deletionTimestamp: undefined,
    deletionGracePeriodSeconds: undefined,
  });
}

function withoutSelfLink(object: KubeObject): KubeObject {
  if (!Object.hasOwn(object.metadata, 'selfLink')) return object;
  const metadata: Record<string, unknown> = { ...object.metadata };
  delete metadata['selfLink'];
  return { ...object, metadata };
}

/** The kind as messages of Invalid name it. */
function kindOf(definition: ResourceDefinition): { readonly group: string; readonly kind: string } {
  // Events of either group are those of the core group inside.
  return { group: internalGroup(definition), kind: definition.kind };
}

/**
 * The new object as it may be stored, a copy: system fields are set and a name is there.
 */
export function prepareCreate(
  definition: ResourceDefinition,
  object: KubeObject,
  context: StrategyContext,
): KubeObject {
  return definition.strategy.prepareForCreate?.(object, context) ?? object;
}

/** What checks are made with. */
export interface CheckParts {
  readonly context: StrategyContext;
  /** Takes texts for Warning headers. */
  readonly warn: (text: string) => void;
  readonly pace: Pace;
}

/** The checks of a new object, after prepareCreate. @throws ApiError Invalid */
export function* checkCreate(
  definition: ResourceDefinition,
  object: KubeObject,
  { context, warn, pace }: CheckParts,
): Sliced<KubeObject> {
  const { strategy } = definition;
  const nameErrors = strategy.nameErrors?.bind(strategy) ?? subdomainName;
  const ofMetadata = yield* metadataErrorsInSlices(
    object,
    definition.scope === 'Namespaced',
    nameErrors,
    strategy.ownFinalizers,
    pace,
  );
  const sliced = strategy.validateInSlices?.(object, undefined, context, pace);
  const ofRest = sliced === undefined ? strategy.validate(object, context) : yield* sliced;
  const errors = strategy.metadataLast === true && ofRest.length > 0 ? ofRest : [...ofMetadata, ...ofRest];
  if (errors.length > 0) throw invalid(kindOf(definition), object.metadata.name ?? '', errors);
  for (const text of strategy.warningsOnCreate?.(object, context) ?? []) warn(text);
  return strategy.canonicalize?.(object) ?? object;
}

/**
 * The changed object before its strategy sees it: what an update may leave out comes from the old one, and
 * what it may not change stays.
 */
export function prepareUpdate(
  strategy: SubresourceStrategy,
  object: KubeObject,
  old: KubeObject,
  context: StrategyContext,
): KubeObject {
  const { metadata } = object;
  const before = old.metadata;
  const kept = withMetadata(withoutSelfLink(object), {
    generation: before.generation,
    uid: (metadata.uid ?? '') === '' ? before.uid : metadata.uid,
    creationTimestamp: before.creationTimestamp ?? metadata.creationTimestamp,
    // An object can never lose a deletion's marks.
    deletionTimestamp: before.deletionTimestamp ?? metadata.deletionTimestamp ?? undefined,
    deletionGracePeriodSeconds:
      metadata.deletionGracePeriodSeconds ?? before.deletionGracePeriodSeconds ?? undefined,
  });
  return strategy.prepareForUpdate?.(kept, old, context) ?? kept;
}

/** The checks of a changed object, after prepareUpdate. @throws ApiError Invalid */
export function* checkUpdate(
  definition: ResourceDefinition,
  strategy: SubresourceStrategy,
  object: KubeObject,
  old: KubeObject,
  { context, warn, pace }: CheckParts,
): Sliced<KubeObject> {
  const { ownFinalizers } = definition.strategy;
  const sliced = strategy.validateInSlices?.(object, old, { ...context, warn }, pace);
  const errors = [
    ...(yield* metadataUpdateErrorsInSlices(object, old, ownFinalizers, pace)),
    ...(sliced === undefined ? strategy.validateUpdate(object, old, context) : yield* sliced),
  ];
  if (errors.length > 0) throw invalid(kindOf(definition), object.metadata.name ?? '', errors);
  for (const text of strategy.warningsOnUpdate?.(object, old, context) ?? []) warn(text);
  return strategy.canonicalize?.(object) ?? object;
}
