/**
 * Kinds of one's own as operators define them: a schema some levels deep, with descriptions, defaults, bounds, patterns, lists
 * with keys and a rule, as long as is asked for, and the objects of such a kind. The same text in each run.
 */
import type { Settings } from '../options.ts';
import type { ObjectMaker } from './objects.ts';

export interface CustomKind {
  readonly group: string;
  readonly plural: string;
  readonly kind: string;
}

/** Kinds of a group, as a larger operator has. */
const KINDS_OF_GROUP = 10;
const SENTENCE =
  'Says how the part is run: what it is made of, where it may be placed, and what is done when it does not answer in its time. ';

export function customKind(index: number): CustomKind {
  const team = Math.floor(index / KINDS_OF_GROUP);
  return { group: `team-${team}.bench.example.com`, plural: `widgets${index}`, kind: `Widget${index}` };
}

export const DEFINITIONS_PATH = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

/** @param bytes of its JSON, give or take one block of the schema */
export function customDefinition({ group, plural, kind }: CustomKind, bytes: number): Buffer {
  const write = (blocks: number): Buffer => {
    const properties = Object.fromEntries(Array.from({ length: blocks }, (_, at) => [`part${at}`, part(at)]));
    return Buffer.from(
      JSON.stringify({
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'CustomResourceDefinition',
        metadata: { name: `${plural}.${group}` },
        spec: {
          group,
          scope: 'Namespaced',
          names: { plural, kind, shortNames: [`w${plural.slice(7)}`] },
          versions: [
            {
              name: 'v1',
              served: true,
              storage: true,
              subresources: { status: {} },
              additionalPrinterColumns: [{ name: 'Phase', type: 'string', jsonPath: '.status.phase' }],
              schema: {
                openAPIV3Schema: {
                  type: 'object',
                  description: `${kind} is what a team asks for. ${SENTENCE}`,
                  properties: { data: DATA, spec: { type: 'object', properties }, status: STATUS },
                },
              },
            },
          ],
        },
      }),
    );
  };
  const none = write(0).length;
  const one = write(1).length - none;
  return write(Math.max(1, Math.round((bytes - none) / one)));
}

const DATA: object = { type: 'object', additionalProperties: { type: 'string' } };
const STATUS: object = {
  type: 'object',
  properties: {
    phase: { type: 'string', enum: ['Pending', 'Running', 'Failed'] },
    conditions: {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
      items: {
        type: 'object',
        required: ['type', 'status'],
        properties: {
          type: { type: 'string', maxLength: 316 },
          status: { type: 'string', enum: ['True', 'False', 'Unknown'] },
          lastTransitionTime: { type: 'string', format: 'date-time' },
        },
      },
    },
  },
};

/** One block of a schema, about 2 kB. */
function part(at: number): object {
  const text = { type: 'string', description: SENTENCE, maxLength: 253 };
  return {
    type: 'object',
    description: `Part ${at}. ${SENTENCE}`,
    'x-kubernetes-validations': [
      { rule: 'self.min <= self.max', message: 'the least is not above the most' },
    ],
    properties: {
      min: { type: 'integer', format: 'int32', minimum: 0, default: 1 },
      max: { type: 'integer', format: 'int32', minimum: 0, default: 10 },
      port: { 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }] },
      selector: {
        type: 'object',
        properties: {
          matchLabels: { type: 'object', additionalProperties: text },
          matchExpressions: {
            type: 'array',
            maxItems: 20,
            items: {
              type: 'object',
              required: ['key', 'operator'],
              properties: {
                key: { ...text, pattern: '^[a-z0-9]([-a-z0-9./]*[a-z0-9])?$' },
                operator: { type: 'string', enum: ['In', 'NotIn', 'Exists', 'DoesNotExist'] },
                values: { type: 'array', 'x-kubernetes-list-type': 'atomic', items: text },
              },
            },
          },
        },
      },
      template: {
        type: 'object',
        description: SENTENCE,
        properties: {
          metadata: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
          containers: {
            type: 'array',
            'x-kubernetes-list-type': 'map',
            'x-kubernetes-list-map-keys': ['name'],
            items: {
              type: 'object',
              required: ['name'],
              properties: {
                name: text,
                image: text,
                resources: {
                  type: 'object',
                  properties: {
                    limits: {
                      type: 'object',
                      additionalProperties: { type: 'string', description: SENTENCE },
                    },
                  },
                },
              },
            },
          },
        },
      },
    },
  };
}

/** Objects of one such kind that hold what a ConfigMap of the same settings holds. */
export function customObjects({ group, plural, kind }: CustomKind, settings: Settings): ObjectMaker {
  const value = 'keelson '.repeat(Math.ceil(settings.valueBytes / 8)).slice(0, settings.valueBytes);
  return {
    kind: 'widgets',
    patched: true,
    collection: (namespace) => `/apis/${group}/v1/namespaces/${namespace}/${plural}`,
    body: (namespace, name, stamp) =>
      Buffer.from(
        `{"apiVersion":"${group}/v1","kind":"${kind}","metadata":{"name":"${name}","namespace":"${namespace}","annotations":{"stamp":"${stamp}"}},"data":{"value":"${value}"}}`,
      ),
  };
}
