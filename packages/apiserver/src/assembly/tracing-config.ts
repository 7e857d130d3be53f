/** --tracing-config-file: a TracingConfiguration, read strictly; refusals are the original's. */

import { toError } from '@keelson/base';

import type { JsonObject } from '../api/json.ts';
import { configNames, readConfigFile, type ConfigKind } from '../codec/config-file.ts';

export interface TracingConfig {
  /** `host:port`, or `unix:/path`. */
  readonly endpoint: string;
  /** Spans in a million that begin a trace. */
  readonly samplingRate: number;
}

const CONFIG: ConfigKind = {
  names: configNames('TracingConfiguration', ['v1', 'v1beta1', 'v1alpha1']),
  types: `apiserver.v1.TracingConfiguration	:meta.v1.TypeMeta:0	endpoint:s:1*?	samplingRatePerMillion:i:2*?`,
};
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

function decoded(text: string): JsonObject {
  try {
    return readConfigFile(text, CONFIG);
  } catch (error) {
    throw new Error(
      `failed to read tracing config: unable to decode tracing configuration data: ${toError(error).message}`,
      { cause: error },
    );
  }
}

/** As gRPC names places; undefined for a scheme that it has not, or that nobody here can dial. */
function addressOf(endpoint: string): string | undefined {
  if (!endpoint.includes('//')) return endpoint;
  const [, scheme, rest] = /^([a-z-]+):\/\/(.*)$/.exec(endpoint) ?? [];
  if (scheme === 'unix') return `unix:${rest}`;
  // An authority before the name asks a certain name server: the system's is asked.
  return scheme === 'dns' ? rest.slice(rest.lastIndexOf('/') + 1) : undefined;
}
