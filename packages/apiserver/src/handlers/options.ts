/**
 * The options of a request, read from its query (and, for deletions, its body) and checked: ListOptions,
 * CreateOptions, UpdateOptions, PatchOptions, DeleteOptions. Refusals carry apimachinery's texts.
 */

import type { ApiRequest } from '../api/exchange.ts';
import type { KubeObject } from '../api/meta.ts';
import { isTrue } from '../api/request-info.ts';
import { badRequest, invalid, type FieldError } from '../api/status.ts';
import { checkDeleteOptions, dryRunErrors, type DeleteOptions } from '../registry/deletion.ts';
import { checkFieldManager } from '../registry/metadata.ts';
import type { ResourceVersionMatch } from '../storage/storage.ts';
import { FieldErrors } from '../validation/field-errors.ts';
import { FieldPath } from '../validation/field-path.ts';

const GROUP = 'meta.k8s.io';

export interface ListOptions {
  readonly resourceVersion: string;
  readonly resourceVersionMatch: ResourceVersionMatch;
  readonly limit: number;
  readonly continue: string;
  /** Undefined: not given, or 0. */
  readonly timeoutSeconds: number | undefined;
  readonly allowWatchBookmarks: boolean;
  readonly sendInitialEvents: boolean | undefined;
}

/**
 * @param watch the request is a watch
 * @throws ApiError BadRequest for what does not parse, Invalid for what does not go together
 */
export function listOptions(query: URLSearchParams, watch: boolean): ListOptions {
  let match = query.get('resourceVersionMatch') ?? '';
  const resourceVersion = query.get('resourceVersion') ?? '';
  const initial = query.get('sendInitialEvents');
  let sendInitialEvents = initial === null ? undefined : isTrue(initial);
  // A watch that names no version begins with the state, and says where it ends as a streaming list does.
  if (watch && sendInitialEvents === undefined && match === '' && isFromState(resourceVersion)) {
    sendInitialEvents = true;
    match = 'NotOlderThan';
  }
  const options = {
    resourceVersion,
    limit: integer(query, 'limit') ?? 0,
    continue: query.get('continue') ?? '',
    timeoutSeconds: integer(query, 'timeoutSeconds') || undefined,
    allowWatchBookmarks: flag(query, 'allowWatchBookmarks') ?? false,
    sendInitialEvents,
  };
  const errors = watch ? watchErrors(match, options) : listErrors(match, options);
  if (errors.length > 0) throw invalid({ group: GROUP, kind: 'ListOptions' }, '', errors);
  return { ...options, resourceVersionMatch: match === 'Exact' || match === 'NotOlderThan' ? match : '' };
}

function isFromState(resourceVersion: string): boolean {
  return resourceVersion === '' || resourceVersion === '0';
}

const MATCH = FieldPath.of('resourceVersionMatch');

type Checked = Pick<ListOptions, 'resourceVersion' | 'continue' | 'sendInitialEvents'>;

function listErrors(match: string, options: Checked): FieldError[] {
  const errors = new FieldErrors();
  if (match !== '') {
    if (options.resourceVersion === '') {
      errors.forbidden(MATCH, 'resourceVersionMatch is forbidden unless resourceVersion is provided');
    }
    if (options.continue !== '') {
      errors.forbidden(MATCH, 'resourceVersionMatch is forbidden when continue is provided');
    }
    if (match !== 'Exact' && match !== 'NotOlderThan') {
      errors.notSupported(MATCH, match, ['Exact', 'NotOlderThan', '']);
    }
    if (match === 'Exact' && options.resourceVersion === '0') {
      errors.forbidden(MATCH, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
    }
  }
  if (options.sendInitialEvents !== undefined) {
    errors.forbidden(FieldPath.of('sendInitialEvents'), 'sendInitialEvents is forbidden for list');
  }
  return errors.list;
}

function watchErrors(match: string, options: Checked): FieldError[] {
  const errors = new FieldErrors();
  if (options.sendInitialEvents !== undefined && match !== 'NotOlderThan') {
    errors.forbidden(MATCH, 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan');
  }
  if (match !== '') {
    if (options.sendInitialEvents === undefined) {
      errors.forbidden(
        MATCH,
        'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
      );
    }
    if (match !== 'NotOlderThan') errors.notSupported(MATCH, match, ['NotOlderThan']);
    if (options.continue !== '') {
      errors.forbidden(MATCH, 'resourceVersionMatch is forbidden when continue is provided');
    }
  }
  return errors.list;
}

/** @throws ApiError BadRequest in the words of Go's strconv */
function integer(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  if (!/^[-+]?\d+$/.test(text)) {
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  }
  const value = Number(text);
  if (Math.abs(value) >= 2 ** 63) {
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: value out of range`);
  }
  return value;
}

function flag(query: URLSearchParams, name: string): boolean | undefined {
  const text = query.get(name);
  return text === null ? undefined : isTrue(text);
}

export type WriteKind = 'CreateOptions' | 'UpdateOptions' | 'PatchOptions';

export interface WriteOptions {
  readonly kind: WriteKind;
  readonly dryRun: boolean;
  readonly fieldManager: string;
  readonly fieldValidation: 'Ignore' | 'Warn' | 'Strict';
  /** Whether the client named it. */
  readonly fieldValidationGiven: boolean;
  /** Only of an apply. */
  readonly force: boolean;
}

/**
 * @param apply the request is a server-side apply
 * @throws ApiError Invalid
 */
export function writeOptions(query: URLSearchParams, kind: WriteKind, apply = false): WriteOptions {
  const errors = new FieldErrors();
  const fieldManager = query.get('fieldManager') ?? '';
  const force = query.get('force');
  if (kind === 'PatchOptions') {
    if (apply && fieldManager === '') {
      errors.required(FieldPath.of('fieldManager'), 'is required for apply patch');
    }
    if (!apply && force !== null) {
      errors.forbidden(FieldPath.of('force'), 'may not be specified for non-apply patch');
    }
  }
  checkFieldManager(errors, FieldPath.of('fieldManager'), fieldManager);
  const dryRun = query.getAll('dryRun');
  errors.list.push(...dryRunErrors(dryRun));
  const validation = query.get('fieldValidation') ?? '';
  const known =
    validation === '' || validation === 'Ignore' || validation === 'Warn' || validation === 'Strict';
  if (!known) {
    errors.notSupported(FieldPath.of('fieldValidation'), validation, ['', 'Ignore', 'Strict', 'Warn']);
  }
  if (!known || errors.size > 0) throw invalid({ group: GROUP, kind }, '', errors.list);
  return {
    kind,
    dryRun: dryRun.length > 0,
    fieldManager,
    fieldValidation: validation === '' ? 'Warn' : validation,
    fieldValidationGiven: validation !== '',
    force: isTrue(force),
  };
}

/** The options as admission sees them: of a creation or an update, whatever the request was. */
export function optionsObject(options: WriteOptions, operation: 'CREATE' | 'UPDATE'): KubeObject {
  return {
    kind: operation === 'CREATE' ? 'CreateOptions' : 'UpdateOptions',
    apiVersion: 'meta.k8s.io/v1',
    metadata: {},
    ...(options.dryRun ? { dryRun: ['All'] } : {}),
    ...(options.fieldManager === '' ? {} : { fieldManager: options.fieldManager }),
    ...(options.fieldValidationGiven ? { fieldValidation: options.fieldValidation } : {}),
  };
}

/** The options of a deletion as admission sees them, also where no body said them. */
export function deleteOptionsObject(options: DeleteOptions): KubeObject {
  return { kind: 'DeleteOptions', apiVersion: 'meta.k8s.io/v1', metadata: {}, ...options };
}

/**
 * Of the body where there is one, else of the query.
 *
 * @throws ApiError Invalid
 */
export function deleteOptions({ query }: ApiRequest, body: KubeObject | undefined): DeleteOptions {
  const options = body === undefined ? deleteOptionsOfQuery(query) : deleteOptionsOfBody(body);
  checkDeleteOptions(options);
  return options;
}

function deleteOptionsOfBody(body: KubeObject): DeleteOptions {
  const { gracePeriodSeconds, propagationPolicy, orphanDependents, preconditions, dryRun } = body;
  const ignore = body['ignoreStoreReadErrorWithClusterBreakingPotential'];
  return {
    ...(typeof gracePeriodSeconds === 'number' ? { gracePeriodSeconds } : {}),
    ...(typeof propagationPolicy === 'string' ? { propagationPolicy } : {}),
    ...(typeof orphanDependents === 'boolean' ? { orphanDependents } : {}),
    ...(typeof preconditions === 'object' && preconditions !== null
      ? { preconditions: preconditionsOf(preconditions) }
      : {}),
    ...(Array.isArray(dryRun) ? { dryRun: dryRun.map(String) } : {}),
    ...(typeof ignore === 'boolean' ? { ignoreStoreReadErrorWithClusterBreakingPotential: ignore } : {}),
  };
}

function preconditionsOf(value: object): NonNullable<DeleteOptions['preconditions']> {
  const uid: unknown = Reflect.get(value, 'uid');
  const resourceVersion: unknown = Reflect.get(value, 'resourceVersion');
  return {
    ...(typeof uid === 'string' ? { uid } : {}),
    ...(typeof resourceVersion === 'string' ? { resourceVersion } : {}),
  };
}

function deleteOptionsOfQuery(query: URLSearchParams): DeleteOptions {
  const gracePeriodSeconds = integer(query, 'gracePeriodSeconds');
  const propagationPolicy = query.get('propagationPolicy');
  const orphanDependents = flag(query, 'orphanDependents');
  const dryRun = query.getAll('dryRun');
  const ignore = flag(query, 'ignoreStoreReadErrorWithClusterBreakingPotential');
  return {
    ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
    ...(propagationPolicy === null || propagationPolicy === '' ? {} : { propagationPolicy }),
    ...(orphanDependents === undefined ? {} : { orphanDependents }),
    ...(dryRun.length === 0 ? {} : { dryRun }),
    ...(ignore === undefined ? {} : { ignoreStoreReadErrorWithClusterBreakingPotential: ignore }),
  };
}
