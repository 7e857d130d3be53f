/**
 * What goes where in gnostic's messages, as data: the members that our documents have, version 2 and version 3. The
 * names and numbers are those of gnostic's openapiv2 and openapiv3.
 */

import type { JsonObject } from '../api/json.ts';

/** How a member's value is written. */
export type MemberKind =
  | 'text'
  | 'texts'
  | 'flag'
  /** A number with a fraction, as a double. */
  | 'number'
  /** A whole number. */
  | 'count'
  /** Any JSON, as YAML text. */
  | 'any'
  | 'anys'
  /** A number, a truth value or a text in fields of their own; nothing else has a form. */
  | 'plain'
  /** A message of this name. */
  | { readonly message: string }
  | { readonly messages: string }
  /** An object with free names, as a message that repeats {1 name, 2 value} in this field. */
  | { readonly named: string; readonly field: number };

export interface Message {
  readonly members: Readonly<Record<string, readonly [field: number, kind: MemberKind]>>;
  /** Where `x-` members go; 0: nowhere. */
  readonly extensions: number;
  /** The message is a union: which field holds the value, as which message. */
  readonly choose?: (value: JsonObject) => readonly [field: number, message: string];
  /** Instead of an object a truth value may stand there: in this field. */
  readonly flag?: number;
  /** The value lies in a message of its own, as field 1; a list's items one by one. */
  readonly box?: MemberKind;
  /** The members have free names: each is `{1 name, 2 value}` in field 1, the value this message. */
  readonly free?: string;
}

export type Messages = Readonly<Record<string, Message>>;

const isReference = (value: JsonObject): boolean => typeof value['$ref'] === 'string';

/** Bounds of a schema, which custom resources have, in the order both versions number them in. */
function bounds(first: number): Message['members'] {
  return {
    multipleOf: [first, 'number'],
    maximum: [first + 1, 'number'],
    exclusiveMaximum: [first + 2, 'flag'],
    minimum: [first + 3, 'number'],
    exclusiveMinimum: [first + 4, 'flag'],
    maxLength: [first + 5, 'count'],
    minLength: [first + 6, 'count'],
    pattern: [first + 7, 'text'],
    maxItems: [first + 8, 'count'],
    minItems: [first + 9, 'count'],
    uniqueItems: [first + 10, 'flag'],
    maxProperties: [first + 11, 'count'],
    minProperties: [first + 12, 'count'],
  };
}

const EXTERNAL_DOCS: Message = {
  members: { description: [1, 'text'], url: [2, 'text'] },
  extensions: 3,
};

function parameterMembers(first: number): Message['members'] {
  // A query parameter has allow_empty_value before its type; a path parameter has not.
  return {
    required: [1, 'flag'],
    in: [2, 'text'],
    description: [3, 'text'],
    name: [4, 'text'],
    type: [first, 'text'],
    format: [first + 1, 'text'],
    uniqueItems: [first + 15, 'flag'],
  };
}

const operations = (at: readonly number[], kind: MemberKind): Message['members'] =>
  Object.fromEntries(
    ['get', 'put', 'post', 'delete', 'options', 'head', 'patch'].map((method, index) => [
      method,
      [at[index], kind] as const,
    ]),
  );

const INFO_V2: Message = { members: { title: [1, 'text'], version: [2, 'text'] }, extensions: 7 };

export const MESSAGES_V2: Messages = {
  Document: {
    members: {
      swagger: [1, 'text'],
      info: [2, { message: 'Info' }],
      paths: [8, { named: 'PathItem', field: 2 }],
      definitions: [9, { named: 'Schema', field: 1 }],
      parameters: [10, { named: 'Parameter', field: 1 }],
      security: [12, { messages: 'SecurityRequirement' }],
      securityDefinitions: [13, { named: 'SecurityDefinitionsItem', field: 1 }],
    },
    extensions: 16,
  },
  Info: INFO_V2,
  PathItem: {
    members: {
      ...operations([2, 3, 4, 5, 6, 7, 8], { message: 'Operation' }),
      parameters: [9, { messages: 'ParametersItem' }],
    },
    extensions: 10,
  },
  Operation: {
    members: {
      tags: [1, 'texts'],
      description: [3, 'text'],
      operationId: [5, 'text'],
      produces: [6, 'texts'],
      consumes: [7, 'texts'],
      parameters: [8, { messages: 'ParametersItem' }],
      responses: [9, { named: 'ResponseValue', field: 1 }],
      schemes: [10, 'texts'],
    },
    extensions: 13,
  },
  ParametersItem: {
    members: {},
    extensions: 0,
    choose: (value) => (isReference(value) ? [2, 'JsonReference'] : [1, 'Parameter']),
  },
  JsonReference: { members: { $ref: [1, 'text'], description: [2, 'text'] }, extensions: 0 },
  Parameter: {
    members: {},
    extensions: 0,
    choose: ({ in: place }) => (place === 'body' ? [1, 'BodyParameter'] : [2, 'NonBodyParameter']),
  },
  BodyParameter: {
    members: {
      description: [1, 'text'],
      name: [2, 'text'],
      in: [3, 'text'],
      required: [4, 'flag'],
      schema: [5, { message: 'Schema' }],
    },
    extensions: 6,
  },
  NonBodyParameter: {
    members: {},
    extensions: 0,
    choose: ({ in: place }) => (place === 'query' ? [3, 'QueryParameter'] : [4, 'PathParameter']),
  },
  QueryParameter: { members: parameterMembers(6), extensions: 23 },
  PathParameter: { members: parameterMembers(5), extensions: 22 },
  ResponseValue: { members: {}, extensions: 0, choose: () => [1, 'Response'] },
  Response: {
    members: { description: [1, 'text'], schema: [2, { message: 'SchemaItem' }] },
    extensions: 5,
  },
  SchemaItem: { members: {}, extensions: 0, choose: () => [1, 'Schema'] },
  Schema: {
    members: {
      $ref: [1, 'text'],
      format: [2, 'text'],
      title: [3, 'text'],
      description: [4, 'text'],
      default: [5, 'any'],
      ...bounds(6),
      required: [19, 'texts'],
      enum: [20, 'anys'],
      additionalProperties: [21, { message: 'AdditionalPropertiesItem' }],
      type: [22, { message: 'TypeItem' }],
      items: [23, { message: 'ItemsItem' }],
      allOf: [24, { messages: 'Schema' }],
      properties: [25, { named: 'Schema', field: 1 }],
      externalDocs: [29, { message: 'ExternalDocs' }],
      example: [30, 'any'],
    },
    extensions: 31,
  },
  ExternalDocs: EXTERNAL_DOCS,
  AdditionalPropertiesItem: { members: {}, extensions: 0, flag: 2, choose: () => [1, 'Schema'] },
  TypeItem: { members: {}, extensions: 0, box: 'text' },
  ItemsItem: { members: {}, extensions: 0, box: { message: 'Schema' } },
  SecurityRequirement: { members: {}, extensions: 0, free: 'StringArray' },
  StringArray: { members: {}, extensions: 0, box: 'texts' },
  SecurityDefinitionsItem: { members: {}, extensions: 0, choose: () => [2, 'ApiKeySecurity'] },
  ApiKeySecurity: {
    members: { type: [1, 'text'], name: [2, 'text'], in: [3, 'text'], description: [4, 'text'] },
    extensions: 5,
  },
};

export const MESSAGES_V3: Messages = {
  Document: {
    members: {
      openapi: [1, 'text'],
      info: [2, { message: 'Info' }],
      paths: [4, { named: 'PathItem', field: 1 }],
      components: [5, { message: 'Components' }],
    },
    extensions: 9,
  },
  Info: { members: { title: [1, 'text'], version: [6, 'text'] }, extensions: 7 },
  Components: {
    members: {
      schemas: [1, { named: 'SchemaOrReference', field: 1 }],
      securitySchemes: [7, { named: 'SecuritySchemeOrReference', field: 1 }],
    },
    extensions: 10,
  },
  PathItem: {
    members: {
      ...operations([4, 5, 6, 7, 8, 9, 10], { message: 'Operation' }),
      parameters: [13, { messages: 'ParameterOrReference' }],
    },
    extensions: 14,
  },
  Operation: {
    members: {
      tags: [1, 'texts'],
      description: [3, 'text'],
      operationId: [5, 'text'],
      parameters: [6, { messages: 'ParameterOrReference' }],
      requestBody: [7, { message: 'RequestBodyOrReference' }],
      responses: [8, { named: 'ResponseOrReference', field: 2 }],
    },
    extensions: 13,
  },
  ParameterOrReference: { members: {}, extensions: 0, choose: () => [1, 'Parameter'] },
  Parameter: {
    members: {
      name: [1, 'text'],
      in: [2, 'text'],
      description: [3, 'text'],
      required: [4, 'flag'],
      schema: [10, { message: 'SchemaOrReference' }],
    },
    extensions: 14,
  },
  RequestBodyOrReference: { members: {}, extensions: 0, choose: () => [1, 'RequestBody'] },
  RequestBody: {
    members: {
      description: [1, 'text'],
      content: [2, { named: 'MediaType', field: 1 }],
      required: [3, 'flag'],
    },
    extensions: 4,
  },
  MediaType: { members: { schema: [1, { message: 'SchemaOrReference' }] }, extensions: 5 },
  ResponseOrReference: { members: {}, extensions: 0, choose: () => [1, 'Response'] },
  Response: {
    members: { description: [1, 'text'], content: [3, { named: 'MediaType', field: 1 }] },
    extensions: 5,
  },
  SchemaOrReference: {
    members: {},
    extensions: 0,
    choose: (value) => (isReference(value) ? [2, 'Reference'] : [1, 'Schema']),
  },
  Reference: { members: { $ref: [1, 'text'] }, extensions: 0 },
  Schema: {
    members: {
      nullable: [1, 'flag'],
      externalDocs: [6, { message: 'ExternalDocs' }],
      example: [7, 'any'],
      title: [9, 'text'],
      ...bounds(10),
      required: [23, 'texts'],
      enum: [24, 'anys'],
      type: [25, 'text'],
      allOf: [26, { messages: 'SchemaOrReference' }],
      oneOf: [27, { messages: 'SchemaOrReference' }],
      anyOf: [28, { messages: 'SchemaOrReference' }],
      not: [29, { message: 'Schema' }],
      items: [30, { message: 'ItemsItem' }],
      properties: [31, { named: 'SchemaOrReference', field: 1 }],
      additionalProperties: [32, { message: 'AdditionalPropertiesItem' }],
      default: [33, 'plain'],
      description: [34, 'text'],
      format: [35, 'text'],
    },
    extensions: 36,
  },
  ItemsItem: { members: {}, extensions: 0, box: { message: 'SchemaOrReference' } },
  ExternalDocs: EXTERNAL_DOCS,
  AdditionalPropertiesItem: { members: {}, extensions: 0, flag: 2, choose: () => [1, 'SchemaOrReference'] },
  SecuritySchemeOrReference: { members: {}, extensions: 0, choose: () => [1, 'SecurityScheme'] },
  SecurityScheme: {
    members: { type: [1, 'text'], description: [2, 'text'], name: [3, 'text'], in: [4, 'text'] },
    extensions: 9,
  },
};
