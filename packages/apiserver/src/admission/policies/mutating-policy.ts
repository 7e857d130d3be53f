/**
 * A mutating policy as it runs: its expressions compiled, and what each of its mutations makes of an object. An apply
 * configuration is merged as server-side apply merges, without owners; a JSON patch is laid on as it stands.
 *
 * Modelled on apiserver's admission/plugin/policy/mutating and its patch package, texts included.
 */

import { isJsonObject, type Json, type JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { internalError } from '../../api/status.ts';
import { RUNTIME_LIMITS, type BaseEnvironment } from '../../cel/environment.ts';
import { jsonOf, MadeObject, placeError } from '../../cel/mutation-types.ts';
import { APPLY_CONFIGURATION, JSON_PATCH, type PolicyExpression } from '../../cel/policy-expressions.ts';
import { CelError, CelList, type Value } from '../../cel/values.ts';
import { asJson, isBuiltInGroup } from '../../codec/object-codec.ts';
import { TypedError } from '../../codec/typed.ts';
import { jsonPatch, JsonPatchError } from '../../patch/json-patch.ts';
import { mergeTyped } from '../../patch/typed-merge.ts';
import { TypedMergeError, validateTyped } from '../../patch/typed-merge-validate.ts';
import {
  asList,
  asMap,
  isAtomicList,
  isAtomicMap,
  itemType,
  memberType,
  namesMember,
} from '../../patch/typed-merge-schema.ts';
import type { TypeSchema } from '../../schema/type-schema.ts';
import { part, parts, text } from '../../validation/value.ts';
import type { Equivalent, ResourceVersions } from '../webhooks/resource-versions.ts';
import { textOf } from '../refusals.ts';
import { ExpressionSet, OutOfBudget, type PolicyVariables } from './evaluate.ts';
import type { Policy } from './policy.ts';
import type { Scope } from './scope.ts';
import type { Steps } from './steps.ts';
import { compileShared } from './validating-policy.ts';

interface Mutation {
  readonly type: 'ApplyConfiguration' | 'JSONPatch';
  readonly expression: PolicyExpression;
}

export interface MutatingPolicy extends Policy {
  readonly conditions: readonly PolicyExpression[];
  readonly variables: PolicyVariables;
  readonly mutations: readonly Mutation[];
  readonly reinvoked: boolean;
}

/** A mutation that could not be made; the failure policy says what becomes of it. */
export class MutationError extends Error {
  override readonly name = 'MutationError';
}

export function compileMutatingPolicy(object: KubeObject, base: BaseEnvironment): MutatingPolicy {
  const { policy, compiler, variables, conditions } = compileShared(object, base);
  const spec = part(object, 'spec');
  return {
    ...policy,
    conditions,
    variables,
    mutations: parts(spec, 'mutations').map((mutation) => {
      const json = text(mutation, 'patchType') === 'JSONPatch';
      const source = text(part(mutation, json ? 'jsonPatch' : 'applyConfiguration'), 'expression');
      return {
        type: json ? 'JSONPatch' : 'ApplyConfiguration',
        expression: compiler.compile(source, json ? JSON_PATCH : APPLY_CONFIGURATION),
      };
    }),
    reinvoked: text(spec, 'reinvocationPolicy') === 'IfNeeded',
  };
}

/**
 * The object after a mutation, as it is stored.
 *
 * @param object in the form; what `scope` shows
 * @throws MutationError; ApiError what is not the policy's to excuse
 */
export function* mutated(
  { type, expression }: Mutation,
  policy: MutatingPolicy,
  scope: Scope,
  object: KubeObject,
  form: Equivalent,
  versions: ResourceVersions,
): Steps<KubeObject> {
  if (expression.error !== undefined) throw new MutationError(expression.error);
  const value = yield* valueOf(expression, policy, scope);
  const live = asJson(object);
  const next = type === 'JSONPatch' ? patched(live, value) : merged(live, value, form, versions.schema(form));
  return taken(next, form, versions);
}

function* valueOf(expression: PolicyExpression, policy: MutatingPolicy, scope: Scope): Steps<Value> {
  const set = new ExpressionSet(scope, RUNTIME_LIMITS.perObject, policy.variables);
  try {
    const evaluation = yield* set.evaluate(expression);
    if (evaluation.kind === 'error') throw new MutationError(evaluation.message);
    return evaluation.value;
  } catch (error) {
    if (error instanceof OutOfBudget) throw new MutationError(error.message);
    throw error;
  }
}

/** @throws MutationError */
function merged(live: JsonObject, value: Value, { kind }: Equivalent, type: TypeSchema | undefined): Json {
  const problem = placeError(value);
  if (problem !== undefined) throw new MutationError(`type mismatch: ${problem.message}`);
  const made = jsonOf(value);
  if (made instanceof CelError || !isJsonObject(made))
    throw new MutationError(`invalid return type: ${made instanceof CelError ? made.message : 'no object'}`);
  if (type === undefined) {
    throw new MutationError(
      `Resource kind ${kind.group}/${kind.version}, Kind=${kind.kind} not found. There can be a delay between when CustomResourceDefinitions are created and when they are available.`,
    );
  }
  const { apiVersion, kind: name } = live;
  const patch: JsonObject = { ...made, apiVersion: apiVersion ?? '', kind: name ?? '' };
  const step = <T>(what: string, act: () => T): T => {
    try {
      return act();
    } catch (error) {
      if (!(error instanceof TypedMergeError)) throw error;
      throw new MutationError(`error applying patch: ${what}: ${error.message}`);
    }
  };
  step('failed to convert patch object to typed object', () => validateTyped(patch, type, false));
  const atomics = atomicsIn(patch, type, '');
  if (atomics.length > 0) {
    throw new MutationError(
      `error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: ${atomics.join(', ')}`,
    );
  }
  return step('failed to merge patch', () => mergeTyped(live, patch, type));
}

/** Paths of what can only be replaced as a whole: who names part of it would take the rest away unawares. */
function atomicsIn(value: Json, type: TypeSchema, path: string): string[] {
  const map = asMap(value);
  if (map !== undefined) {
    const own = isAtomicMap(type) ? [path] : [];
    return Object.entries(map).reduce((found, [name, member]) => {
      const inner = namesMember(type, name) ? memberType(type, name) : undefined;
      return inner === undefined ? found : [...found, ...atomicsIn(member, inner, `${path}.${name}`)];
    }, own);
  }
  const list = asList(value);
  if (list === undefined || type.kind !== 'list') return [];
  const own = isAtomicList(type) ? [path] : [];
  return list.reduce<string[]>(
    (found, item, index) => [...found, ...atomicsIn(item, itemType(type), `${path}[${index}]`)],
    own,
  );
}

/** @throws MutationError */
function patched(live: JsonObject, value: Value): Json {
  if (!(value instanceof CelList))
    throw new MutationError('type mismatch: JSONPatchType.expression should evaluate to array');
  const operations = [...value].map(operationOf);
  try {
    return jsonPatch(live, operations);
  } catch (error) {
    if (!(error instanceof JsonPatchError)) throw error;
    // A test that fails means that there is nothing to do.
    if (error.message.endsWith(': test failed')) return live;
    throw new MutationError(`JSONPath: ${error.message}`);
  }
}

function operationOf(value: Value): JsonObject {
  if (!(value instanceof MadeObject))
    throw new MutationError('type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch');
  const operation: Record<string, Json> = { op: wordOf(value, 'op'), path: wordOf(value, 'path') };
  const from = wordOf(value, 'from');
  if (from !== '') operation['from'] = from;
  const given = value.fields.get('value');
  if (given === undefined) return operation;
  const problem = placeError(given);
  if (problem !== undefined) throw new MutationError(`type mismatch: ${problem.message}`);
  const json = jsonOf(given);
  if (json instanceof CelError) {
    throw new MutationError(
      `JSONPath valueExpression evaluated to a type that could not marshal to JSON: ${json.message}`,
    );
  }
  operation['value'] = json;
  return operation;
}

function wordOf(value: MadeObject, name: string): string {
  const word = value.fields.get(name);
  return typeof word === 'string' ? word : '';
}

/** @throws ApiError InternalError, for what is no object of the kind */
function taken(value: Json, form: Equivalent, versions: ResourceVersions): KubeObject {
  const unknown: string[] = [];
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- take() looks at each member
    const object = versions.take(value as JsonObject, form, (path) => unknown.push(path));
    if (unknown.length === 0 || !isBuiltInGroup(form.kind.group)) return object;
  } catch (error) {
    if (error instanceof TypedError) throw internalError(textOf(error));
    throw error;
  }
  const fields = unknown.map((path) => `unknown field ${JSON.stringify(path)}`);
  throw internalError(`strict decoding error: ${fields.join(', ')}`);
}
