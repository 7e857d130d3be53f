/**
 * What the operations of a resource's store share: who asks, what is made, the parts they work with, and how an error of
 * the storage is told. Each operation that takes steps has its own file; store.ts joins them.
 */

import type { KubeObject } from '../api/meta.ts';
import { finish, LONG_BYTES, WITHOUT_PAUSE, type Sliced, type Slices } from '../api/sliced.ts';
import type { ApiError } from '../api/status.ts';
import { hasCode, toApiError, type StorageOperation } from '../storage/storage-error.ts';
import type { Storage, StoredObject } from '../storage/storage.ts';
import type { CheckParts } from './before.ts';
import { ConversionNeeded } from './conversions.ts';
import type { ResourceDefinition, StoredBacking, Stores } from './resource.ts';
import type { StrategyContext, SubresourceStrategy } from './strategy.ts';

/** One operation: what strategies may know, and who is warned. */
export interface StoreCall {
  readonly context: StrategyContext;
  readonly warn: (text: string) => void;
  readonly signal?: AbortSignal | undefined;
  /** For checks that take long; without, they are done in one go. */
  readonly slices?: Slices;
  /** Whether the object is long, so that every step of its way is taken in slices. */
  readonly long?: boolean;
}

/** The slices of a call, where its object is long, or the one that is there. */
export function slicesOfLong({ slices, long }: StoreCall, current?: StoredObject): Slices | undefined {
  return long === true || (current?.size ?? 0) > LONG_BYTES ? slices : undefined;
}

/** The checks of a call, in its slices: no promise where they were done within one. */
export function checked<T>(
  { context, warn, slices }: StoreCall,
  check: (parts: CheckParts) => Sliced<T>,
): T | Promise<T> {
  return slices === undefined
    ? finish(check({ context, warn, pace: WITHOUT_PAUSE }))
    : slices.run(check({ context, warn, pace: slices }));
}

/** Checks of validating admission; each may refuse with an ApiError. */
export interface Validations {
  create?(object: KubeObject): Promise<void>;
  update?(object: KubeObject, old: KubeObject): Promise<void>;
  delete?(object: KubeObject): Promise<void>;
}

export interface UpdateRequest {
  /**
   * What is to be written, made of what is there: asked again when somebody else wrote meanwhile.
   *
   * @param existing undefined where there is nothing
   * @param slices where the object is long
   */
  updated(existing: KubeObject | undefined, slices?: Slices): Promise<KubeObject>;
  readonly validations: Validations;
  /** The resource's own without it. */
  readonly strategy?: SubresourceStrategy;
  /** An apply creates whatever the kind says. */
  readonly forceAllowCreate?: boolean;
  /** The object must be this one. */
  readonly uid?: string | undefined;
}

/** What was made. */
export interface Made {
  readonly object: KubeObject;
  /** Undefined where nothing was written: a dry run, or an update that removed the object. */
  readonly stored: StoredObject | undefined;
}

export interface Written extends Made {
  readonly created: boolean;
}

export interface Deleted {
  /** The object, or the Status that says it is gone. */
  readonly object: KubeObject;
  /** Whether it is gone already. */
  readonly gone: boolean;
}

/** What a store of one resource works with. */
export interface StoreParts {
  readonly definition: ResourceDefinition;
  readonly backing: StoredBacking;
  readonly storage: Storage;
  readonly stores: Stores;
  /** The object as reading would give it, had it been written: what a dry run answers. */
  readonly reread: (object: KubeObject) => KubeObject;
}

/** Where an object lies. */
export interface ObjectPlace {
  readonly key: string;
  /** Empty for what lies in no namespace. */
  readonly namespace: string;
  readonly name: string;
}

/** What lies under a key; undefined for nothing. */
export async function existing(storage: Storage, key: string): Promise<StoredObject | undefined> {
  try {
    return await storage.get(key);
  } catch (error) {
    if (hasCode(error, 'KEY_NOT_FOUND')) return undefined;
    throw error;
  }
}

/** How long the object is to last; 0 for ever. */
export function ttlSecondsOf({ backing }: StoreParts, object: KubeObject): number {
  return backing.ttlSeconds?.(object) ?? 0;
}

/** Does it; a failure is told as a client is told. @throws ApiError */
export async function told<T>(
  definition: ResourceDefinition,
  operation: StorageOperation,
  name: string,
  act: () => Promise<T>,
): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw refusalOf(error, operation, definition, name);
  }
}

/** What the client is told; a conversion that has to be asked for is nothing to tell. @throws ConversionNeeded */
export function refusalOf(
  error: unknown,
  operation: StorageOperation,
  definition: ResourceDefinition,
  name: string,
): ApiError {
  if (error instanceof ConversionNeeded) throw error;
  return toApiError(error, operation, definition, name);
}
