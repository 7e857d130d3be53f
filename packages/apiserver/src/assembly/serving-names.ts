/** The names and addresses a server's certificate must be good for: how clients on this machine and in the cluster call it. */

import type { ServerConfig } from '../options/config.ts';
import { hostPort } from '../outbound/backend.ts';

const IN_CLUSTER: readonly string[] = [
  'kubernetes',
  'kubernetes.default',
  'kubernetes.default.svc',
  'kubernetes.default.svc.cluster.local',
];
const HERE: readonly string[] = ['localhost', '127.0.0.1', '::1'];
const WILDCARDS: ReadonlySet<string> = new Set(['', '0.0.0.0', '::']);

/** What the machine says of itself. */
export interface Machine {
  readonly hostname: string;
  /** Addresses of its interfaces that others can reach, the best first. */
  readonly addresses: readonly string[];
}

/** Where others reach the server: what was told, else where it listens, else the machine's first address. */
export function advertisedAddress(config: ServerConfig, machine: Machine): string {
  if (config.advertiseAddress !== '') return config.advertiseAddress;
  if (!WILDCARDS.has(config.bindAddress)) return config.bindAddress;
  return machine.addresses[0] ?? '127.0.0.1';
}

/** Where the server says it is, `host:port`: --external-hostname, with a port of its own where it has one, else the address. */
export function externalAddress(config: ServerConfig, machine: Machine, port: number): string {
  const { externalHostname: name } = config;
  const host = name === '' ? advertisedAddress(config, machine) : name;
  return /^(?:[^:[\]]*|\[[^[\]]*\]):[^:]*$/.test(host) ? host : hostPort(host, port);
}

/** @param serviceAddress the service kubernetes' own; empty when it has none */
export function servingNames(config: ServerConfig, machine: Machine, serviceAddress: string): string[] {
  const hostname = /^[a-zA-Z0-9]([-.a-zA-Z0-9]*[a-zA-Z0-9])?$/.test(machine.hostname) ? machine.hostname : '';
  const names = [
    ...IN_CLUSTER,
    ...HERE,
    hostname.toLowerCase(),
    advertisedAddress(config, machine),
    WILDCARDS.has(config.bindAddress) ? '' : config.bindAddress,
    config.externalHostname,
    serviceAddress,
  ];
  return [...new Set(names.filter((name) => name !== ''))];
}
