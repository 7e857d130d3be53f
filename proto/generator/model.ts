/**
 * Reads the .proto files into the model that the emitters print: packages in order of dependency, messages
 * and enums in order of declaration, every field with its decisions made. Throws on whatever it has no
 * rule for, so a new field cannot slip through half decided.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { DECISIONS, type Decisions } from '../decisions.ts';

export const PROTO_DIR: string = join(dirname(fileURLToPath(import.meta.url)), '..');

export type Scalar = 'bool' | 'int32' | 'uint32' | 'int64' | 'uint64' | 'string' | 'bytes';

/** implicit: written unless zero. always: written even when zero. explicit: written unless undefined. */
export type Presence = 'implicit' | 'always' | 'explicit';

export interface FieldModel {
  /** As in the .proto file. */
  readonly name: string;
  /** As in the class. */
  readonly property: string;
  readonly number: number;
  readonly type:
    | { readonly is: 'scalar'; readonly scalar: Scalar; readonly kind: 'count' | 'id' | undefined }
    | { readonly is: 'enum'; readonly fullName: string }
    | { readonly is: 'message'; readonly fullName: string };
  readonly repeated: boolean;
  readonly packed: boolean;
  readonly presence: Presence;
  readonly oneof: string | undefined;
}

export interface MessageModel {
  readonly fullName: string;
  readonly typeName: string;
  /** In order of declaration. */
  readonly fields: readonly FieldModel[];
}

export interface EnumModel {
  readonly fullName: string;
  readonly typeName: string;
  readonly values: readonly (readonly [string, number])[];
}

export interface MethodModel {
  readonly name: string;
  readonly kind: 'unary' | 'server-stream' | 'client-stream' | 'bidi';
  readonly request: string;
  readonly response: string;
  /** POST paths of the JSON gateway, the main one first. */
  readonly http: readonly string[];
}

export interface ServiceModel {
  readonly fullName: string;
  readonly name: string;
  readonly methods: readonly MethodModel[];
}

export interface PackageModel {
  readonly name: string;
  /** The namespace in index.ts, and the file's name. */
  readonly namespace: string;
  readonly messages: readonly MessageModel[];
  readonly enums: readonly EnumModel[];
  readonly services: readonly ServiceModel[];
  /** Other packages it names, in order of first use. */
  readonly imports: readonly string[];
}

export interface Model {
  readonly packages: readonly PackageModel[];
  /** Package and TypeScript name of each message and enum, by full name. */
  readonly types: ReadonlyMap<string, { readonly package: PackageModel; readonly typeName: string }>;
}

/** The .proto files, by path relative to proto/, in a fixed order. */
export function protoFiles(): string[] {
  const files: string[] = [];
  for (const folder of ['etcd', 'grpc', 'keelson']) {
    for (const name of readdirSync(join(PROTO_DIR, folder), { recursive: true, encoding: 'utf8' })) {
      if (name.endsWith('.proto')) files.push(join(folder, name));
    }
  }
  return files.sort();
}

/** All .proto files as protobufjs sees them, with their own field names. */
export function loadRoot(): protobuf.Root {
  const root = new protobuf.Root();
  for (const file of protoFiles()) {
    protobuf.parse(readFileSync(join(PROTO_DIR, file), 'utf8'), root, { keepCase: true });
  }
  root.resolveAll();
  return root;
}

/**
 * The model of the .proto files.
 *
 * @throws Error for a field without a rule or a decision, and for a decision without a field
 */
export function loadModel(root: protobuf.Root = loadRoot(), decisions: Decisions = DECISIONS): Model {
  return new ModelBuilder(decisions).build(root);
}

/** prev_kv is prevKv; ID, TTL, peerURLs and Term stay. */
export function propertyName(field: string): string {
  return field.replace(/_(.)/g, (_match, letter: string) => letter.toUpperCase());
}

function fullNameOf(object: protobuf.ReflectionObject): string {
  return object.fullName.replace(/^\./, '');
}

/** The package of a top-level type; etcd's fields name nested enums only, never nested messages. */
function packageOf(fullName: string): string {
  return fullName.slice(0, fullName.lastIndexOf('.'));
}

class ModelBuilder {
  private readonly decisions: Decisions;
  /** Decisions that some field or type asked for. */
  private readonly used = new Set<string>();
  private readonly packages: PackageModel[] = [];

  constructor(decisions: Decisions) {
    this.decisions = decisions;
  }

  build(root: protobuf.Root): Model {
    this.addPackages(root);
    const { integerKinds, alwaysWritten, typeNames } = this.decisions;
    for (const name of [...Object.keys(integerKinds), ...alwaysWritten, ...Object.keys(typeNames)]) {
      if (!this.used.has(name)) throw new Error(`decisions.ts names ${name}, which no .proto file has`);
    }
    const types = new Map<string, { package: PackageModel; typeName: string }>();
    for (const pkg of this.packages) {
      const names = new Set<string>();
      for (const type of [...pkg.messages, ...pkg.enums]) {
        if (names.has(type.typeName)) throw new Error(`two types of ${pkg.name} are called ${type.typeName}`);
        names.add(type.typeName);
        types.set(type.fullName, { package: pkg, typeName: type.typeName });
      }
    }
    const packages = this.packages.sort((a, b) => (a.namespace < b.namespace ? -1 : 1));
    return { packages, types };
  }

  private addPackages(space: protobuf.Namespace): void {
    const messages: MessageModel[] = [];
    const enums: EnumModel[] = [];
    const services: ServiceModel[] = [];
    for (const child of space.nestedArray) {
      if (child instanceof protobuf.Type) {
        messages.push(this.message(child));
        for (const nested of child.nestedArray) {
          if (!(nested instanceof protobuf.Enum))
            throw new Error(`${nested.fullName}: no rule for nested messages`);
          enums.push(this.enum(nested));
        }
      } else if (child instanceof protobuf.Enum) enums.push(this.enum(child));
      else if (child instanceof protobuf.Service) services.push(serviceModel(child));
      else if (child instanceof protobuf.Namespace) this.addPackages(child);
      else throw new Error(`no rule for ${child.fullName}`);
    }
    if (messages.length === 0) return;
    const name = fullNameOf(space);
    const imports = new Set<string>();
    for (const { fields } of messages) {
      for (const { type } of fields) if (type.is === 'message') imports.add(packageOf(type.fullName));
    }
    imports.delete(name);
    const namespace = this.decisions.packageNames[name] ?? name;
    this.packages.push({ name, namespace, messages, enums, services, imports: [...imports].sort() });
  }

  private message(type: protobuf.Type): MessageModel {
    const fullName = fullNameOf(type);
    const fields = type.fieldsArray.map((field) => this.field(fullName, field));
    return { fullName, typeName: this.typeName(fullName), fields };
  }

  private enum(type: protobuf.Enum): EnumModel {
    const fullName = fullNameOf(type);
    return { fullName, typeName: this.typeName(fullName), values: Object.entries(type.values) };
  }

  private typeName(fullName: string): string {
    const chosen = this.decisions.typeNames[fullName];
    if (chosen === undefined) return fullName.slice(fullName.lastIndexOf('.') + 1);
    this.used.add(fullName);
    return chosen;
  }

  private field(message: string, field: protobuf.Field): FieldModel {
    const fullName = `${message}.${field.name}`;
    if (field.map) throw new Error(`${fullName}: no rule for maps`);
    const type = this.fieldType(fullName, field);
    const oneof = field.partOf?.name;
    let presence: Presence = 'implicit';
    if (!field.repeated && (type.is === 'message' || oneof !== undefined || field.hasPresence))
      presence = 'explicit';
    if (this.decisions.alwaysWritten.includes(fullName)) {
      this.used.add(fullName);
      if (presence !== 'explicit' || oneof !== undefined)
        throw new Error(`${fullName} is not a proto2 field`);
      presence = 'always';
    }
    return {
      name: field.name,
      property: propertyName(field.name),
      number: field.id,
      type,
      repeated: field.repeated,
      // protobufjs calls every repeated proto3 field packed, also those that cannot be.
      packed: field.repeated && field.packed && (type.is === 'enum' || field.type in protobuf.types.packed),
      presence,
      oneof,
    };
  }

  private fieldType(fullName: string, field: protobuf.Field): FieldModel['type'] {
    if (field.resolvedType instanceof protobuf.Enum) {
      return { is: 'enum', fullName: fullNameOf(field.resolvedType) };
    }
    if (field.resolvedType !== null) return { is: 'message', fullName: fullNameOf(field.resolvedType) };
    switch (field.type) {
      case 'int64':
      case 'uint64': {
        const { integerKinds } = this.decisions;
        const name = fullName in integerKinds ? fullName : field.name;
        const kind = integerKinds[name];
        if (kind === undefined) throw new Error(`${fullName}: decide in decisions.ts: count or id?`);
        this.used.add(name);
        return { is: 'scalar', scalar: field.type, kind };
      }
      case 'bool':
      case 'int32':
      case 'uint32':
      case 'string':
      case 'bytes':
        return { is: 'scalar', scalar: field.type, kind: undefined };
      default:
        throw new Error(`${fullName}: no rule for type ${field.type}`);
    }
  }
}

function serviceModel(service: protobuf.Service): ServiceModel {
  return {
    fullName: fullNameOf(service),
    name: service.name,
    methods: service.methodsArray.map((method) => {
      method.resolve();
      const { resolvedRequestType: request, resolvedResponseType: response } = method;
      if (request === null || response === null) throw new Error(`${method.fullName}: types not found`);
      const kinds = ['unary', 'server-stream', 'client-stream', 'bidi'] as const;
      return {
        name: method.name,
        kind: kinds[(method.requestStream === true ? 2 : 0) + (method.responseStream === true ? 1 : 0)],
        request: fullNameOf(request),
        response: fullNameOf(response),
        http: httpPaths(method),
      };
    }),
  };
}

/** The POST paths of `option (google.api.http)`, additional bindings last. */
function httpPaths(method: protobuf.Method): string[] {
  const paths: string[] = [];
  const collect = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, inner] of Object.entries(value)) {
      if (key === 'post' && typeof inner === 'string') paths.push(inner);
      else collect(inner);
    }
  };
  collect(method.parsedOptions);
  return paths;
}
