/**
 * An admission function as a plugin: whether it is asked, with what it may not change, for how long it is waited for, and
 * what its answer means. What it returns is read as a client's object would be.
 */

import type { Clock } from '@keelson/base';

import { isJsonObject, JsonFloat, type Json } from '../../api/json.ts';
import { equalJson } from '../../api/equal.ts';
import { describeResource, type KubeObject } from '../../api/meta.ts';
import { ApiError, internalError, timeout, type StatusReason } from '../../api/status.ts';
import { asJson } from '../../codec/object-codec.ts';
import type {
  AdmissionAttributes,
  MutatingPlugin,
  MutationPass,
  Operation,
  ValidatingPlugin,
} from '../admission.ts';
import { textOf } from '../refusals.ts';
import { timedCall } from '../webhooks/observe.ts';
import type { ResourceVersions } from '../webhooks/resource-versions.ts';
import type { WebhookObserver, WebhookType } from '../webhooks/webhook-context.ts';
import { AdmissionDenied, type AdmissionFunction, type AdmissionRequest } from './admission-function.ts';

export interface FunctionContext {
  readonly functions: readonly AdmissionFunction[];
  readonly versions: ResourceVersions;
  readonly clock: Pick<Clock, 'monotonicMs' | 'setTimer'>;
  readonly observer?: WebhookObserver;
}

const TIMEOUT_MS = 10_000;
const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const NAME_MAX = 253;
/** A record, so that none can be forgotten. */
const OPERATIONS: Readonly<Record<Operation, true>> = {
  CREATE: true,
  UPDATE: true,
  DELETE: true,
  CONNECT: true,
};

/** @throws Error for functions that cannot be: a name twice, or none, or an operation that never comes */
export function checkFunctions(functions: readonly AdmissionFunction[], plugins: readonly string[]): void {
  const seen = new Set<string>();
  for (const own of functions) {
    const { name, before, operations = [] } = own;
    const shown = JSON.stringify(name);
    if (!NAME.test(name) || name.length > NAME_MAX) {
      throw new Error(`the name of admission function ${shown} is no DNS name`);
    }
    if (seen.has(name)) throw new Error(`there are two admission functions ${shown}`);
    seen.add(name);
    if (before !== undefined && !plugins.includes(before)) {
      throw new Error(
        `admission function ${shown}: there is no plugin ${JSON.stringify(before)} to be asked before`,
      );
    }
    if (own.mutate === undefined && own.validate === undefined) {
      throw new Error(`admission function ${shown} does nothing: it has neither mutate nor validate`);
    }
    for (const operation of operations)
      if (!Object.hasOwn(OPERATIONS, operation))
        throw new Error(
          `admission function ${shown}: there is no operation ${JSON.stringify(operation)}; there are ${Object.keys(OPERATIONS).join(', ')}`,
        );
  }
}

type FunctionPlugin = MutatingPlugin | ValidatingPlugin | (MutatingPlugin & ValidatingPlugin);

export function functionPlugin(own: AdmissionFunction, context: FunctionContext): FunctionPlugin {
  const { name, operations } = own;
  const handles: MutatingPlugin['handles'] = (operation) =>
    operations === undefined || operations.includes(operation);
  const call = new FunctionCall(own, context);
  const admit: MutatingPlugin['admit'] = (attributes, pass) => call.admit(attributes, pass);
  const validate: ValidatingPlugin['validate'] = (attributes) => call.validate(attributes);
  if (own.mutate === undefined) return { name, handles, validate };
  return own.validate === undefined ? { name, handles, admit } : { name, handles, admit, validate };
}

/** Failed: it threw, took too long, or answered with what is no object. */
class FunctionFailed extends Error {
  override readonly name = 'FunctionFailed';
}

class FunctionCall {
  private readonly own: AdmissionFunction;
  private readonly context: FunctionContext;
  /** The object as it left the function in the first round of a request. */
  private readonly outputs = new WeakMap<object, { readonly object: KubeObject | undefined }>();

  constructor(own: AdmissionFunction, context: FunctionContext) {
    this.own = own;
    this.context = context;
  }

  admit(
    attributes: AdmissionAttributes,
    pass: MutationPass,
  ): Promise<KubeObject | undefined> | KubeObject | undefined {
    const { object } = attributes;
    if (!this.chosen(attributes)) return object;
    if (pass.again) {
      const before = this.outputs.get(pass.request);
      if (this.own.reinvocationPolicy !== 'IfNeeded' || before === undefined) return object;
      if (sameObject(before.object, object)) return object;
    }
    return this.mutate(attributes, pass);
  }

  private async mutate(attributes: AdmissionAttributes, pass: MutationPass): Promise<KubeObject | undefined> {
    const { object, kind, resource } = attributes;
    const { versions } = this.context;
    const next = await this.asked(attributes, 'admit', object, async (request) => {
      const answer = await this.own.mutate?.(request);
      if (answer === undefined) return object;
      const value = jsonOf(answer, '');
      if (object === undefined)
        throw new FunctionFailed('it returned an object where there is none to change');
      if (!isJsonObject(value)) throw new FunctionFailed('it returned what is no object');
      const { apiVersion, kind: name } = asJson(versions.show(object, { kind, resource }));
      if (value['apiVersion'] !== apiVersion || value['kind'] !== name) {
        throw new FunctionFailed('it returned an object of another kind');
      }
      const taken = versions.take(value, { kind, resource });
      return sameObject(taken, object) ? object : taken;
    });
    if (next !== object) pass.repeat();
    if (!pass.again) this.outputs.set(pass.request, { object: next });
    return next;
  }

  validate(attributes: AdmissionAttributes): Promise<void> | undefined {
    if (!this.chosen(attributes)) return undefined;
    return this.asked(attributes, 'validating', undefined, async (request) => {
      await this.own.validate?.(request);
    });
  }

  private chosen({ resource, subresource }: AdmissionAttributes): boolean {
    const full = describeResource(resource);
    return this.own.resources.some((wanted) => {
      const slash = wanted.indexOf('/');
      const own = slash < 0 ? wanted : wanted.slice(0, slash);
      const below = slash < 0 ? '' : wanted.slice(slash + 1);
      return (own === '*' || own === full) && (below === '*' || below === subresource);
    });
  }

  /** Asks, within the time there is. @param otherwise what a failure comes to that may be */
  private async asked<Result>(
    attributes: AdmissionAttributes,
    type: WebhookType,
    otherwise: Result,
    act: (request: AdmissionRequest) => Promise<Result>,
  ): Promise<Result> {
    const { clock, observer } = this.context;
    const { name, failurePolicy = 'Fail', timeoutMs = TIMEOUT_MS } = this.own;
    const { operation, signal } = attributes;
    const told = timedCall(clock, { name, type, operation });
    const ending = new AbortController();
    const end = (): void => ending.abort();
    signal.addEventListener('abort', end);
    const late = `it did not answer within ${timeoutMs} ms`;
    let cancel: () => void = () => undefined;
    try {
      const request = this.requestOf(attributes, AbortSignal.any([signal, ending.signal]));
      const result = await Promise.race([
        act(request),
        new Promise<never>((_resolve, reject) => {
          const timer = clock.setTimer(timeoutMs, () => reject(new FunctionFailed(late)));
          cancel = () => timer.cancel();
          ending.signal.addEventListener('abort', () => reject(new FunctionFailed('the request ended')));
        }),
      ]);
      observer?.called(told(200, false));
      return result;
    } catch (error) {
      if (error instanceof AdmissionDenied) {
        const refused = denial(name, error);
        observer?.rejected(told(refused.code, true), 'no_error');
        observer?.called(told(refused.code, true));
        throw refused;
      }
      if (signal.aborted) throw timeout('request did not complete within requested timeout', 0);
      const closed = failurePolicy === 'Fail';
      if (closed) observer?.rejected(told(500, true), 'calling_webhook_error');
      observer?.called(told(500, closed));
      if (closed) {
        throw internalError(
          new Error(`failed calling admission function ${JSON.stringify(name)}: ${textOf(error)}`, {
            cause: error,
          }),
        );
      }
      observer?.failedOpen(name, type);
      attributes.annotate(
        `failed-open.${type === 'admit' ? 'mutation' : 'validating'}.function/${name}`,
        name,
      );
      return otherwise;
    } finally {
      cancel();
      signal.removeEventListener('abort', end);
      // Whoever is late is told that nobody waits any more.
      ending.abort();
    }
  }

  private requestOf(attributes: AdmissionAttributes, signal: AbortSignal): AdmissionRequest {
    const { operation, kind, resource, subresource, namespace, name, dryRun, user, options } = attributes;
    const form = { kind, resource };
    const shown = (object: KubeObject | undefined): KubeObject | undefined =>
      object && frozenCopy(this.context.versions.show(object, form));
    return {
      operation,
      kind,
      resource,
      subresource,
      namespace,
      name,
      object: shown(attributes.object),
      oldObject: shown(attributes.oldObject),
      options: options && asJson(frozenCopy(options)),
      dryRun,
      user,
      signal,
      warn: (text) => attributes.warn(text),
      annotate: (key, value) => attributes.annotate(`${this.own.name}/${key}`, value),
    };
  }
}

function denial(name: string, { message, code, reason }: AdmissionDenied): ApiError {
  const said = message === '' ? ' without explanation' : `: ${message}`;
  return new ApiError({
    code: Number.isInteger(code) && code >= 400 && code < 600 ? code : 403,
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a function may have a reason of its own
    reason: reason as StatusReason,
    message: `admission function ${JSON.stringify(name)} denied the request${said}`,
  });
}

function sameObject(a: KubeObject | undefined, b: KubeObject | undefined): boolean {
  return a === b || equalJson(a && asJson(a), b && asJson(b));
}

/** A copy that nobody can change: what lies in caches stays out of reach. */
function frozenCopy<T>(value: T): T {
  if (Array.isArray(value)) {
    const items: unknown[] = value.map(frozenCopy);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a copy is of the type of what it copies
    return Object.freeze(items) as T;
  }
  if (typeof value !== 'object' || value === null || value instanceof JsonFloat) return value;
  const copy: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) define(copy, name, frozenCopy(member));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a copy is of the type of what it copies
  return Object.freeze(copy) as T;
}

/** What a function returned as JSON: members that are undefined are absent. @throws FunctionFailed */
function jsonOf(value: unknown, path: string): Json {
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'bigint':
      return value;
    case 'number':
      if (Number.isFinite(value)) return value;
      break;
    case 'object': {
      if (value === null || value instanceof JsonFloat) return value;
      if (Array.isArray(value)) return value.map((item, index) => jsonOf(item, `${path}[${index}]`));
      const prototype: unknown = Object.getPrototypeOf(value);
      if (prototype !== Object.prototype && prototype !== null) break;
      const object: Record<string, Json> = {};
      for (const [name, member] of Object.entries(value)) {
        if (member !== undefined) define(object, name, jsonOf(member, `${path}.${name}`));
      }
      return object;
    }
    default:
  }
  throw new FunctionFailed(`it returned what is no JSON${path === '' ? '' : ` at ${path}`}`);
}

/** A member called __proto__ is a member. */
function define(object: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
}

/** Functions with the plugin each is asked before. */
export function functionsBefore(
  name: string,
  context: FunctionContext | undefined,
  fallback: string,
): FunctionPlugin[] {
  if (context === undefined) return [];
  return context.functions
    .filter(({ before = fallback }) => before === name)
    .map((own) => functionPlugin(own, context));
}
