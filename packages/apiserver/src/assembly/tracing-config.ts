/** --tracing-config-file: a TracingConfiguration, read strictly; refusals are the original's. */

import { toError } from '@keelson/base';

import { isJsonObject, type Json } from '../api/json.ts';
import { readYaml } from '../codec/yaml.ts';

export interface TracingConfig {
  /** `host:port`, or `unix:/path`. */
  readonly endpoint: string;
  /** Spans in a million that begin a trace. */
  readonly samplingRate: number;
}

const GROUP = 'apiserver.config.k8s.io/';
const VERSIONS: ReadonlySet<string> = new Set(
  ['v1', 'v1beta1', 'v1alpha1'].map((version) => GROUP + version),
);
const FIELDS: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'endpoint', 'samplingRatePerMillion']);
/** The protocol's own. */
const ENDPOINT = 'localhost:4317';
const MILLION = 1_000_000;

/** @throws Error in the original's words */
export function readTracingConfig(text: string): TracingConfig {
  const value = decoded(text);
  const { endpoint, samplingRatePerMillion: rate } = value;
  const problems: string[] = [];
  if (typeof rate === 'number' && rate < 0) {
    problems.push(`samplingRatePerMillion: Invalid value: ${rate}: sampling rate must be positive`);
  }
  if (typeof rate === 'number' && rate > MILLION) {
    problems.push(
      `samplingRatePerMillion: Invalid value: ${rate}: sampling rate per million must be less than or equal to one million`,
    );
  }
  const address = typeof endpoint === 'string' ? addressOf(endpoint) : ENDPOINT;
  if (address === undefined) {
    const text = typeof endpoint === 'string' ? endpoint : '';
    const scheme = text.slice(0, text.indexOf(':'));
    problems.push(
      `endpoint: Invalid value: ${JSON.stringify(text)}: unsupported scheme: ${scheme}.  Options are none, dns, unix, or unix-abstract.  See https://github.com/grpc/grpc/blob/master/doc/naming.md`,
    );
  }
  if (problems.length > 0) {
    const told = problems.length === 1 ? problems[0] : `[${problems.join(', ')}]`;
    throw new Error(`failed to validate tracing configuration: ${told}`);
  }
  return { endpoint: address ?? ENDPOINT, samplingRate: typeof rate === 'number' ? rate : 0 };
}

function decoded(text: string): Readonly<Record<string, Json>> {
  const refuse = (why: string): Error =>
    new Error(`failed to read tracing config: unable to decode tracing configuration data: ${why}`);
  let value: Json;
  try {
    value = readYaml(text);
  } catch (error) {
    throw refuse(toError(error).message);
  }
  if (!isJsonObject(value)) throw refuse("Object 'Kind' is missing");
  const { apiVersion, kind, endpoint, samplingRatePerMillion: rate } = value;
  if (kind !== 'TracingConfiguration' || typeof apiVersion !== 'string' || !VERSIONS.has(apiVersion)) {
    throw refuse(
      `no kind ${JSON.stringify(kind ?? '')} is registered for version ${JSON.stringify(apiVersion ?? '')}`,
    );
  }
  const unknown = Object.keys(value).filter((name) => !FIELDS.has(name));
  if (unknown.length > 0) {
    throw refuse(`strict decoding error: ${unknown.map((name) => `unknown field "${name}"`).join(', ')}`);
  }
  const isText = endpoint === undefined || endpoint === null || typeof endpoint === 'string';
  const isCount = rate === undefined || rate === null || (typeof rate === 'number' && Number.isInteger(rate));
  if (!isText || !isCount) throw refuse('a field has a value of another type');
  return value;
}

/** As gRPC names places; undefined for a scheme that it has not, or that nobody here can dial. */
function addressOf(endpoint: string): string | undefined {
  if (!endpoint.includes('//')) return endpoint;
  const [, scheme, rest] = /^([a-z-]+):\/\/(.*)$/.exec(endpoint) ?? [];
  if (scheme === 'unix') return `unix:${rest}`;
  // An authority before the name asks a certain name server: the system's is asked.
  return scheme === 'dns' ? rest.slice(rest.lastIndexOf('/') + 1) : undefined;
}
