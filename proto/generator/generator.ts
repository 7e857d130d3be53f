/** From the .proto files to the texts of gen/: deterministic, and without touching a file but reading them. */
import { HEAD, printPackage } from './messages.ts';
import { loadModel, type Model } from './model.ts';
import { printDescriptors, printServices } from './services.ts';

/** The generated files, by name within gen/. */
export function generate(): Map<string, string> {
  const model = loadModel();
  const files = new Map<string, string>();
  for (const pkg of model.packages) files.set(`${pkg.namespace}.ts`, printPackage(model, pkg));
  files.set('services.ts', printServices(model));
  files.set('descriptors.ts', printDescriptors(model));
  files.set('index.ts', printIndex(model));
  return files;
}

function printIndex(model: Model): string {
  const packages = model.packages.map((pkg) => `export * as ${pkg.namespace} from './${pkg.namespace}.ts';`);
  return `${HEAD}${packages.join('\n')}
export * as services from './services.ts';
export { ProtoError, type ProtoErrorCode } from '../wire/error.ts';
export { DECODE_LIMITS, EMPTY, Reader, type DecodeLimits } from '../wire/reader.ts';
export { putBytes, putTag, putVarint, sizeDelimited, sizeVarint } from '../wire/writer.ts';
export type {
  AnyCodec,
  AnyMethod,
  Codec,
  Method,
  MethodKind,
  RequestOf,
  ResponseOf,
  Service,
} from '../wire/method.ts';
export type { FieldDescriptor, MessageDescriptor, MethodDescriptor } from '../wire/descriptor.ts';

/** The reflection tables, loaded when asked for: nothing on a hot path needs them. */
export const loadDescriptors = (): Promise<typeof import('./descriptors.ts')> => import('./descriptors.ts');
`;
}
