/**
 * The flags every command has, and the environment that may set them: ETCDCTL_ENDPOINTS for --endpoints and
 * so on. A variable beside its flag is refused, as in etcdctl: one of the two would be ignored.
 */
import { FlagError, type FlagSpec, type FlagValues } from '../flags.ts';
import type { Io } from '../io.ts';
import { badArgs } from './ctl-error.ts';
import { discoveredEndpoints } from './discovery.ts';

export const GLOBAL_FLAGS: readonly FlagSpec[] = [
  {
    name: 'auth-jwt-token',
    kind: 'string',
    initial: '',
    usage:
      'JWT token used for authentication (if this option is used, --user and --password should not be set)',
  },
  {
    name: 'cacert',
    kind: 'string',
    initial: '',
    usage: 'verify certificates of TLS-enabled secure servers using this CA bundle',
  },
  {
    name: 'cert',
    kind: 'string',
    initial: '',
    usage: 'identify secure client using this TLS certificate file',
  },
  {
    name: 'command-timeout',
    kind: 'duration',
    initial: '5s',
    usage: 'timeout for short running command (excluding dial timeout)',
  },
  { name: 'debug', kind: 'bool', initial: 'false', usage: 'enable client-side debug logging' },
  { name: 'dial-timeout', kind: 'duration', initial: '2s', usage: 'dial timeout for client connections' },
  {
    name: 'discovery-srv',
    short: 'd',
    kind: 'string',
    initial: '',
    usage: 'domain name to query for SRV records describing cluster endpoints',
  },
  {
    name: 'discovery-srv-name',
    kind: 'string',
    initial: '',
    usage: 'service name to query when using DNS discovery',
  },
  { name: 'endpoints', kind: 'strings', initial: '127.0.0.1:2379', usage: 'gRPC endpoints' },
  { name: 'hex', kind: 'bool', initial: 'false', usage: 'print byte strings as hex encoded strings' },
  {
    name: 'insecure-discovery',
    kind: 'bool',
    initial: 'true',
    usage: 'accept insecure SRV records describing cluster endpoints',
  },
  {
    name: 'insecure-skip-tls-verify',
    kind: 'bool',
    initial: 'false',
    usage:
      'skip server certificate verification (CAUTION: this option should be enabled only for testing purposes)',
  },
  {
    name: 'insecure-transport',
    kind: 'bool',
    initial: 'true',
    usage: 'disable transport security for client connections',
  },
  { name: 'keepalive-time', kind: 'duration', initial: '2s', usage: 'keepalive time for client connections' },
  {
    name: 'keepalive-timeout',
    kind: 'duration',
    initial: '6s',
    usage: 'keepalive timeout for client connections',
  },
  { name: 'key', kind: 'string', initial: '', usage: 'identify secure client using this TLS key file' },
  {
    name: 'password',
    kind: 'string',
    initial: '',
    usage: "password for authentication (if this option is used, --user option shouldn't include password)",
  },
  {
    name: 'user',
    kind: 'string',
    initial: '',
    usage: 'username[:password] for authentication (prompt if password is not supplied)',
  },
  {
    name: 'write-out',
    short: 'w',
    kind: 'string',
    initial: 'simple',
    usage: 'set the output format (fields, json, protobuf, simple, table)',
  },
];

const PREFIX = 'ETCDCTL_';
/** Read by watch, or of other programs of this name; no flags. */
const OTHERS: ReadonlySet<string> = new Set(['ETCDCTL_API', 'ETCDCTL_WATCH_KEY', 'ETCDCTL_WATCH_RANGE_END']);

export const variableOf = (flag: FlagSpec): string => PREFIX + flag.name.toUpperCase().replaceAll('-', '_');

/**
 * Sets flags from the environment, and warns of variables that set none.
 * @throws FlagError for a flag that is given both ways, or a value it cannot have
 */
export function readEnvironment(values: FlagValues, specs: readonly FlagSpec[], io: Io): void {
  const known = new Set(OTHERS);
  for (const spec of specs) {
    const name = variableOf(spec);
    known.add(name);
    const text = io.env[name] ?? '';
    if (text === '') continue;
    if (values.changed(spec.name)) {
      throw new FlagError(
        `conflicting environment variable "${name}" is shadowed by corresponding command-line flag (either unset environment variable or disable flag)`,
      );
    }
    values.set(spec, text);
  }
  for (const [name, text] of Object.entries(io.env)) {
    if (name.startsWith(PREFIX) && !known.has(name)) {
      io.err(`unrecognized environment variable ${name}=${text}\n`);
    }
  }
}

/** Where to connect: what --discovery-srv finds, else --endpoints. @throws CtlError */
export async function endpointsOf(values: FlagValues, io: Io): Promise<string[]> {
  const found = await discoveredEndpoints(values, io);
  if (found.length > 0) return found;
  const endpoints = values.strings('endpoints').map((endpoint) => endpoint.trim());
  if (endpoints.length === 0) throw badArgs('etcdclient: no available endpoints');
  return endpoints;
}
