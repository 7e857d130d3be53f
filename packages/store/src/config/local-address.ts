/**
 * The local address of connections to other members (gate SetMemberLocalAddr): a machine with several addresses
 * dials from the one it advertises, so that a peer which checks addresses in certificates sees the right one.
 */
import { isIP } from 'node:net';
import type { ServerConfig } from './flag-table.ts';

/**
 * The first advertised peer URL that names an IP address of a network, as etcd chooses it.
 * @returns undefined: as the system chooses
 */
export function memberLocalAddress(
  config: Pick<ServerConfig, 'featureGates' | 'initialAdvertisePeerUrls'>,
): string | undefined {
  if (!config.featureGates.enabled.SetMemberLocalAddr) return undefined;
  return config.initialAdvertisePeerUrls.map(({ hostname }) => hostname).find(isOfNetwork);
}

function isOfNetwork(host: string): boolean {
  if (isIP(host) === 4) return !host.startsWith('127.') && host !== '0.0.0.0';
  return isIP(host) === 6 && !/^[0:]*[01]?$/.test(host);
}
