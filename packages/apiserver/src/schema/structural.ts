/**
 * The schema of a custom resource as a tree of nodes, compiled from the JSONSchemaProps of a definition: what a value
 * may be (type, fields, items), which parts are kept though nobody names them, and the constraints a value has to
 * meet. Reads only; what is wrong with a schema is told by crd/, what a node does to a value by those who walk it.
 *
 * Modelled on apiextensions-apiserver's structural schema and kube-openapi's validation schema, as one tree.
 */

import { isJsonObject, JsonFloat, type Json, type JsonObject } from '../api/json.ts';

const NO_FIELDS: ReadonlyMap<string, Structural> = new Map();
const NO_NODES: readonly Structural[] = [];
const NO_NAMES: readonly string[] = [];

export class Structural {
  /** `object`, `array`, `string`, `integer`, `number`, `boolean`; empty where nothing is said. */
  readonly type: string;
  readonly format: string;
  readonly nullable: boolean;
  /** Undefined: none. A null counts as none. */
  readonly default: Json | undefined;
  readonly properties: ReadonlyMap<string, Structural>;
  /** Of members that `properties` does not name. */
  readonly additional: Structural | undefined;
  /** additionalProperties is false: members that are not named are refused. */
  readonly forbidsOthers: boolean;
  /** additionalProperties is there at all, be it as a boolean: such members are kept. */
  readonly hasAdditional: boolean;
  readonly items: Structural | undefined;
  readonly required: readonly string[];
  /** x-kubernetes-preserve-unknown-fields. */
  readonly keepsUnknown: boolean;
  /** x-kubernetes-embedded-resource: apiVersion, kind and metadata stand without being named. */
  readonly embedded: boolean;
  readonly intOrString: boolean;
  /** Whether an embedded resource may lie here or further down. */
  readonly holdsEmbedded: boolean;
  /** `atomic`, `set`, `map`; undefined where nothing is said. */
  readonly listType: string | undefined;
  readonly listMapKeys: readonly string[];
  /** Whether a list of the type `set` or `map` may lie here or further down. */
  readonly holdsListTypes: boolean;
  readonly mapType: string | undefined;
  readonly allOf: readonly Structural[];
  readonly anyOf: readonly Structural[];
  readonly oneOf: readonly Structural[];
  readonly not: Structural | undefined;
  readonly enum: readonly Json[] | undefined;
  readonly pattern: string;
  readonly maximum: number | undefined;
  readonly exclusiveMaximum: boolean;
  readonly minimum: number | undefined;
  readonly exclusiveMinimum: boolean;
  readonly multipleOf: number | undefined;
  readonly maxLength: number | undefined;
  readonly minLength: number | undefined;
  readonly maxItems: number | undefined;
  readonly minItems: number | undefined;
  readonly uniqueItems: boolean;
  readonly maxProperties: number | undefined;
  readonly minProperties: number | undefined;
  /** x-kubernetes-validations as they are written. */
  readonly rules: readonly JsonObject[];
  /** Whether rules stand here or further down. */
  readonly holdsRules: boolean;
  /** JSONSchemaProps of a node with rules, which are compiled against it; undefined for others. */
  readonly source: JsonObject | undefined;

  /** @param source JSONSchemaProps */
  constructor(source: JsonObject) {
    this.type = textOf(source['type']);
    this.format = textOf(source['format']);
    this.nullable = source['nullable'] === true;
    this.default = source['default'] ?? undefined;
    this.properties = fieldsOf(source['properties']);
    const additional = source['additionalProperties'];
    this.additional = isJsonObject(additional) ? new Structural(additional) : undefined;
    this.hasAdditional = additional !== undefined && additional !== null;
    this.forbidsOthers = additional === false;
    this.items = nodeOf(source['items']);
    this.required = textsOf(source['required']);
    this.keepsUnknown = source['x-kubernetes-preserve-unknown-fields'] === true;
    this.embedded = source['x-kubernetes-embedded-resource'] === true;
    this.intOrString = source['x-kubernetes-int-or-string'] === true;
    this.listType = optionalText(source['x-kubernetes-list-type']);
    this.listMapKeys = textsOf(source['x-kubernetes-list-map-keys']);
    this.mapType = optionalText(source['x-kubernetes-map-type']);
    this.allOf = nodesOf(source['allOf']);
    this.anyOf = nodesOf(source['anyOf']);
    this.oneOf = nodesOf(source['oneOf']);
    this.not = nodeOf(source['not']);
    const values = source['enum'];
    this.enum = Array.isArray(values) && values.length > 0 ? values : undefined;
    this.pattern = textOf(source['pattern']);
    this.maximum = numberOf(source['maximum']);
    this.exclusiveMaximum = source['exclusiveMaximum'] === true;
    this.minimum = numberOf(source['minimum']);
    this.exclusiveMinimum = source['exclusiveMinimum'] === true;
    this.multipleOf = numberOf(source['multipleOf']);
    this.maxLength = numberOf(source['maxLength']);
    this.minLength = numberOf(source['minLength']);
    this.maxItems = numberOf(source['maxItems']);
    this.minItems = numberOf(source['minItems']);
    this.uniqueItems = source['uniqueItems'] === true;
    this.maxProperties = numberOf(source['maxProperties']);
    this.minProperties = numberOf(source['minProperties']);
    const rules = source['x-kubernetes-validations'];
    this.holdsListTypes =
      this.listType === 'set' || this.listType === 'map' || this.below((node) => node.holdsListTypes);
    this.holdsEmbedded = this.embedded || this.below((node) => node.holdsEmbedded);
    this.rules = Array.isArray(rules) ? rules.filter(isJsonObject) : [];
    this.source = this.rules.length > 0 ? source : undefined;
    this.holdsRules = this.rules.length > 0 || this.below((node) => node.holdsRules);
  }

  /** Whether something holds of a part of what is described. */
  private below(holds: (node: Structural) => boolean): boolean {
    const { items, additional } = this;
    if ((items !== undefined && holds(items)) || (additional !== undefined && holds(additional))) return true;
    for (const node of this.properties.values()) if (holds(node)) return true;
    return false;
  }

  /** The node of a member, named or not; undefined where nothing is said of it. */
  member(name: string): Structural | undefined {
    return this.properties.get(name) ?? this.additional;
  }
}

/** What stands in the object of every kind, and in an embedded one, without a schema's saying so. */
export const META_FIELDS: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata']);

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

function optionalText(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function textsOf(value: Json | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : NO_NAMES;
}

function numberOf(value: Json | undefined): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  return value instanceof JsonFloat ? value.value : undefined;
}

function nodeOf(value: Json | undefined): Structural | undefined {
  return isJsonObject(value) ? new Structural(value) : undefined;
}

function nodesOf(value: Json | undefined): readonly Structural[] {
  return Array.isArray(value) ? value.filter(isJsonObject).map((item) => new Structural(item)) : NO_NODES;
}

function fieldsOf(value: Json | undefined): ReadonlyMap<string, Structural> {
  if (!isJsonObject(value)) return NO_FIELDS;
  const fields = new Map<string, Structural>();
  for (const [name, source] of Object.entries(value)) {
    if (isJsonObject(source)) fields.set(name, new Structural(source));
  }
  return fields;
}
