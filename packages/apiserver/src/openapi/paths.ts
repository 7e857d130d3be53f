/**
 * Paths with operations in the words of OpenAPI version 2 and version 3. Says nothing that routes.ts does not; a
 * parameter that all operations of a path take is said once, at the path.
 */

import type { Json, JsonObject } from '../api/json.ts';
import type { Definitions } from './definitions.ts';
import { NAMED } from './definition-names.ts';
import type { Parameter } from './parameters.ts';
import { BARE_STRING, type Operation, type PathRoute } from './routes.ts';

type Draft = Record<string, Json>;

const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  401: 'Unauthorized',
};

/** Keys of all definitions that a path speaks of. */
export function contentsOf({ operations }: PathRoute): string[] {
  const keys: string[] = [];
  for (const { body, responses } of operations) {
    if (body !== undefined) keys.push(body.content);
    for (const { content } of responses) {
      if (content !== undefined && content !== BARE_STRING) keys.push(content);
    }
  }
  return keys;
}

/** Parameters that all operations take, and the rest of each. */
function split({ operations }: PathRoute): {
  readonly common: readonly Parameter[];
  readonly own: (operation: Operation) => Parameter[];
} {
  const keyOf = ({ name, in: place }: Parameter) => `${name} ${place}`;
  const [first, ...others] = operations;
  const inAll = new Set(
    first.parameters
      .map(keyOf)
      .filter((key) => others.every(({ parameters }) => parameters.some((other) => keyOf(other) === key))),
  );
  return {
    common: first.parameters.filter((parameter) => inAll.has(keyOf(parameter))).toSorted(inOrder),
    own: ({ parameters }) => parameters.filter((parameter) => !inAll.has(keyOf(parameter))).toSorted(inOrder),
  };
}

/** By name, then by place. */
function inOrder(a: Parameter, b: Parameter): number {
  return byText(a.name, b.name) || byText(a.in, b.in);
}

function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

// ---- version 2 ----

/** Bodies that version 2 shares between operations. */
const SHARED_BODIES: ReadonlyMap<string, string> = new Map([
  ['meta.v1.DeleteOptions', 'body-2Y1dVQaQ'],
  [NAMED.patch, 'body-78PwaGsr'],
]);

export function pathItemV2(route: PathRoute, definitions: Definitions): JsonObject {
  const { common, own } = split(route);
  const item: Draft = {};
  for (const operation of route.operations) {
    item[operation.method] = operationV2(operation, own(operation), definitions);
  }
  if (common.length > 0) item['parameters'] = common.map(parameterV2);
  return item;
}

function operationV2(operation: Operation, own: readonly Parameter[], definitions: Definitions): JsonObject {
  const { consumes, produces, body, description, id, responses, tag } = operation;
  const parameters = own.map((parameter): [string, JsonObject] => [parameter.name, parameterV2(parameter)]);
  if (body !== undefined) parameters.push(['body', bodyV2(body.content, body.required, definitions)]);
  parameters.sort(([a], [b]) => byText(a, b));
  const answers: Draft = {};
  for (const { code, content } of responses) {
    const schema = content === undefined ? undefined : contentSchema(content, definitions);
    answers[code] = { description: REASONS[code] ?? '', ...(schema !== undefined && { schema }) };
  }
  return {
    ...(consumes.length > 0 && { consumes }),
    description,
    operationId: id,
    ...(parameters.length > 0 && { parameters: parameters.map(([, parameter]) => parameter) }),
    ...(produces.length > 0 && { produces }),
    responses: answers,
    schemes: ['https'],
    tags: [tag],
    ...marks(operation),
  };
}

function bodyV2(content: string, required: boolean, definitions: Definitions): JsonObject {
  const shared = SHARED_BODIES.get(content);
  if (shared !== undefined) return { $ref: `#/parameters/${shared}` };
  return sharedBodyV2(content, required, definitions);
}

function sharedBodyV2(content: string, required: boolean, definitions: Definitions): JsonObject {
  return {
    in: 'body',
    name: 'body',
    ...(required && { required }),
    schema: definitions.reference(content),
  };
}

function parameterV2(parameter: Parameter): JsonObject {
  return parameter.shared === '' ? fullParameterV2(parameter) : { $ref: `#/parameters/${parameter.shared}` };
}

function fullParameterV2({ description, in: place, name, type }: Parameter): JsonObject {
  return {
    description,
    in: place,
    name,
    ...(place === 'path' && { required: true }),
    type,
    uniqueItems: true,
  };
}

/** The shared parameters that these routes refer to, by name. */
export function sharedParametersV2(
  routes: Iterable<PathRoute>,
  definitions: Definitions,
): Map<string, JsonObject> {
  const found = new Map<string, JsonObject>();
  for (const { operations } of routes) {
    for (const { parameters, body } of operations) {
      for (const parameter of parameters) {
        if (parameter.shared !== '' && !found.has(parameter.shared)) {
          found.set(parameter.shared, fullParameterV2(parameter));
        }
      }
      const shared = body && SHARED_BODIES.get(body.content);
      if (shared !== undefined && !found.has(shared)) {
        found.set(shared, sharedBodyV2(body?.content ?? '', body?.required ?? false, definitions));
      }
    }
  }
  return new Map([...found].toSorted(([a], [b]) => byText(a, b)));
}

// ---- version 3 ----

export function pathItemV3(route: PathRoute, definitions: Definitions): JsonObject {
  const { common, own } = split(route);
  const item: Draft = {};
  for (const operation of route.operations) {
    item[operation.method] = operationV3(operation, own(operation), definitions);
  }
  if (common.length > 0) item['parameters'] = common.map(parameterV3);
  return item;
}

function operationV3(operation: Operation, own: readonly Parameter[], definitions: Definitions): JsonObject {
  const { consumes, produces, body, description, id, responses, tag } = operation;
  const answers: Draft = {};
  for (const { code, content } of responses) {
    answers[code] = {
      ...(content !== undefined && { content: mediaTypes(produces, content, definitions) }),
      description: REASONS[code] ?? '',
    };
  }
  return {
    description,
    operationId: id,
    ...(own.length > 0 && { parameters: own.map(parameterV3) }),
    ...(body !== undefined && {
      requestBody: {
        content: mediaTypes(consumes, body.content, definitions),
        ...(body.required && { required: true }),
      },
    }),
    responses: answers,
    tags: [tag],
    ...marks(operation),
  };
}

function parameterV3({ description, in: place, name, type }: Parameter): JsonObject {
  return {
    description,
    in: place,
    name,
    ...(place === 'path' && { required: true }),
    schema: { type, uniqueItems: true },
  };
}

function mediaTypes(types: readonly string[], content: string, definitions: Definitions): JsonObject {
  const schema = contentSchema(content, definitions);
  const media: Draft = {};
  for (const type of types.toSorted()) media[type] = { schema };
  return media;
}

// ---- both ----

function contentSchema(content: string, definitions: Definitions): JsonObject {
  return content === BARE_STRING ? { type: 'string' } : definitions.reference(content);
}

function marks({ action, kind }: Operation): JsonObject {
  return {
    ...(action !== undefined && { 'x-kubernetes-action': action }),
    ...(kind !== undefined && { 'x-kubernetes-group-version-kind': { ...kind } }),
  };
}
