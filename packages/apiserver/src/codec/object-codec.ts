/**
 * Objects in the forms clients ask for: JSON, YAML, and protobuf in its envelope where the fact table knows the kind.
 * Which form is asked for is decided elsewhere (http/negotiate), what an object holds was decided before.
 */

import type { JsonObject } from '../api/json.ts';
import { parseApiVersion, type GroupVersionKind, type KubeObject } from '../api/meta.ts';
import type { Pace, Sliced } from '../api/sliced.ts';
import type { StructSchema } from '../schema/type-schema.ts';
import type { TypeTable } from '../schema/type-table.ts';
import { writeEnvelope } from './envelope.ts';
import { writeJson } from './json-writer.ts';
import { ProtobufCodec } from './protobuf.ts';
import { writeYaml } from './yaml.ts';

/** Kinds that belong to every version of every group. */
const META_KINDS: ReadonlySet<string> = new Set([
  'APIGroup',
  'APIGroupList',
  'APIResourceList',
  'APIVersions',
  'CreateOptions',
  'DeleteOptions',
  'GetOptions',
  'ListOptions',
  'PatchOptions',
  'Status',
  'UpdateOptions',
  'WatchEvent',
]);

export class ObjectCodec {
  readonly table: TypeTable;
  /** apiextensions.v1.JSONSchemaProps, which conform() asks for. */
  readonly schemaProps: StructSchema;
  private readonly protobuf: ProtobufCodec;

  constructor(table: TypeTable) {
    this.table = table;
    this.schemaProps = table.struct('apiextensions.v1.JSONSchemaProps');
    this.protobuf = new ProtobufCodec(this.schemaProps);
  }

  /** The built-in type of a kind; undefined for kinds of custom resources. */
  typeOf(kind: GroupVersionKind): StructSchema | undefined {
    const name = typeName(kind);
    return this.table.has(name) ? this.table.struct(name) : undefined;
  }

  /** Whether objects of this kind have a protobuf form. */
  hasProtobuf(kind: GroupVersionKind): boolean {
    const type = this.typeOf(kind);
    return type !== undefined && kind.kind !== 'Table';
  }

  /** JSON with the line end Go's encoder writes; indented for people without it. */
  json(object: KubeObject, pretty = false): Buffer {
    const text = writeJson(asJson(object), { pretty });
    return Buffer.from(pretty ? text : `${text}\n`);
  }

  yaml(object: KubeObject): Buffer {
    return Buffer.from(writeYaml(asJson(object)));
  }

  /** The object in its envelope; undefined for a kind without a protobuf form. */
  envelope(object: KubeObject): Buffer | undefined {
    const version = parseApiVersion(object.apiVersion) ?? { group: '', version: '' };
    const kind = { ...version, kind: object.kind };
    if (!this.hasProtobuf(kind)) return undefined;
    const type = this.table.struct(typeName(kind));
    return writeEnvelope(object.apiVersion, object.kind, this.protobuf.encode(type, asJson(object)));
  }

  /**
   * The message inside an envelope as the type's JSON, without apiVersion and kind.
   *
   * @throws ProtobufError
   */
  decode(type: StructSchema, raw: Buffer): JsonObject {
    return this.protobuf.decode(type, raw);
  }

  /** The same, which can be put down. @throws ProtobufError */
  decodeInSlices(type: StructSchema, raw: Buffer, pace: Pace): Sliced<JsonObject> {
    return this.protobuf.decodeInSlices(type, raw, pace);
  }
}

/** The fact table's words for the groups it knows; a custom resource's group is never one of them. */
const WORDS: ReadonlyMap<string, string> = new Map([
  ['', 'core'],
  ['internal.apiserver.k8s.io', 'apiserverinternal'],
  ['flowcontrol.apiserver.k8s.io', 'flowcontrol'],
  ['rbac.authorization.k8s.io', 'rbac'],
  ...['apps', 'autoscaling', 'batch', 'extensions', 'policy'].map((name) => [name, name] as const),
  ...(
    'admission admissionregistration apidiscovery apiextensions apiregistration authentication authorization ' +
    'certificates coordination discovery events imagepolicy meta networking node resource scheduling storage ' +
    'storagemigration'
  )
    .split(' ')
    .map((word) => [`${word}.k8s.io`, word] as const),
]);

/** Whether a group is Kubernetes' own: its kinds have protobuf forms. */
export function isBuiltInGroup(group: string): boolean {
  return WORDS.has(group);
}

/** A kind's name in the fact table; a name that is not there for groups it does not know. */
export function typeName({ group, version, kind }: GroupVersionKind): string {
  if (META_KINDS.has(kind)) return `meta.v1.${kind}`;
  const word = WORDS.get(group) ?? '';
  // v1beta1 differs in the list's numbers alone.
  const own = word === 'meta' && kind !== 'PartialObjectMetadataList' ? 'v1' : version;
  return `${word}.${own}.${kind}`;
}

/** What lies under an object's names is JSON. */
export function asJson(object: KubeObject): JsonObject {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see above
  return object as unknown as JsonObject;
}

/** JSON that has apiVersion, kind and metadata. */
export function asObject(value: JsonObject): KubeObject {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- who calls this has looked
  return value as unknown as KubeObject;
}
