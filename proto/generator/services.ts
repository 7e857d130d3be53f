/** Prints the method tables (services.ts) and the reflection tables of the JSON gateway (descriptors.ts). */
import { HEAD } from './messages.ts';
import type { FieldModel, Model, PackageModel, ServiceModel } from './model.ts';

export function printServices(model: Model): string {
  const packages = new Set<PackageModel>();
  const body: string[] = [];
  for (const pkg of model.packages) {
    for (const service of pkg.services) body.push(printService(model, service, packages));
  }
  const imports = [...packages]
    .map((pkg) => pkg.namespace)
    .sort()
    .map((name) => `import * as ${name} from './${name}.ts';`);
  return `${HEAD}import type { Method, Service } from '../wire/method.ts';\n${imports.join('\n')}\n\n${body.join('\n')}`;
}

function printService(model: Model, service: ServiceModel, packages: Set<PackageModel>): string {
  const place = (fullName: string): { type: string; codec: string } => {
    const type = model.types.get(fullName);
    if (type === undefined) throw new Error(`no type ${fullName}`);
    packages.add(type.package);
    const { namespace } = type.package;
    return {
      type: `${namespace}.${type.typeName}`,
      codec: `{ encode: ${namespace}.encode${type.typeName}, decode: ${namespace}.decode${type.typeName} }`,
    };
  };
  const methods = service.methods.map((method) => {
    const request = place(method.request);
    const response = place(method.response);
    return `    ${method.name[0].toLowerCase()}${method.name.slice(1)}: {
      name: '${method.name}',
      path: '/${service.fullName}/${method.name}',
      kind: '${method.kind}',
      request: ${request.codec},
      response: ${response.codec},
    } satisfies Method<${request.type}, ${response.type}, '${method.kind}'>,`;
  });
  return `export const ${service.name} = {
  name: '${service.fullName}',
  methods: {
${methods.join('\n')}
  },
} as const satisfies Service;
`;
}

export function printDescriptors(model: Model): string {
  const imports: string[] = [];
  const messages: string[] = [];
  const enums: string[] = [];
  const services: string[] = [];
  for (const pkg of model.packages) {
    imports.push(`import * as ${pkg.namespace} from './${pkg.namespace}.ts';`);
    for (const message of pkg.messages) {
      const fields = message.fields.map((field) => `      ${printField(field)},`).join('\n');
      const name = `${pkg.namespace}.${message.typeName}`;
      const list = message.fields.length === 0 ? '[]' : `[\n${fields}\n    ]`;
      messages.push(`  '${message.fullName}': { type: ${name}, fields: ${list} },`);
    }
    for (const type of pkg.enums) enums.push(`  '${type.fullName}': ${pkg.namespace}.${type.typeName},`);
    for (const service of pkg.services) {
      for (const method of service.methods) {
        const http = method.http.map((path) => `'${path}'`).join(', ');
        const key = `/${service.fullName}/${method.name}`;
        services.push(
          `  '${key}': { request: '${method.request}', response: '${method.response}', http: [${http}] },`,
        );
      }
    }
  }
  return `${HEAD}import type { FieldDescriptor, MessageDescriptor, MethodDescriptor } from '../wire/descriptor.ts';
${imports.join('\n')}

/** A field: its names, number and type; flags: r repeated, p explicit presence, a always written. */
function f(name: string, property: string, number: number, type: string, flags = '', oneof = ''): FieldDescriptor {
  return {
    name,
    property,
    number,
    type,
    repeated: flags === 'r',
    presence: flags === 'p' ? 'explicit' : flags === 'a' ? 'always' : 'implicit',
    oneof: oneof === '' ? undefined : oneof,
  };
}

/** By full name. */
export const MESSAGES: Readonly<Record<string, MessageDescriptor>> = {
${messages.join('\n')}
};

/** By full name: value names to numbers. */
export const ENUMS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
${enums.join('\n')}
};

/** By gRPC path. */
export const METHODS: Readonly<Record<string, MethodDescriptor>> = {
${services.join('\n')}
};
`;
}

function printField(field: FieldModel): string {
  const type = field.type.is === 'scalar' ? field.type.scalar : field.type.fullName;
  const flags = field.repeated
    ? 'r'
    : field.presence === 'explicit'
      ? 'p'
      : field.presence === 'always'
        ? 'a'
        : '';
  const rest =
    field.oneof !== undefined ? `, '${flags}', '${field.oneof}'` : flags !== '' ? `, '${flags}'` : '';
  return `f('${field.name}', '${field.property}', ${field.number}, '${type}'${rest})`;
}
