/** Why a member could not be reached, as etcd's log lines say it (the texts of Go's net package). */
import { addressOf } from './remotes.ts';

const SYSTEM_TEXTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect: connection refused',
  ECONNRESET: 'connect: connection reset by peer',
  EHOSTUNREACH: 'connect: no route to host',
  ENETUNREACH: 'connect: network is unreachable',
  ETIMEDOUT: 'connect: connection timed out',
  EADDRNOTAVAIL: 'connect: cannot assign requested address',
  EMFILE: 'socket: too many open files',
};

/** @param address as it was given; where a name was resolved, the error itself knows better */
export function dialText(address: string, error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (code === 'ENOTFOUND') return `dial tcp: lookup ${address.replace(/:\d+$/, '')}: no such host`;
  return `dial tcp ${triedOf(error) ?? address}: ${SYSTEM_TEXTS[code] ?? error.message}`;
}

function triedOf(error: Error): string | undefined {
  if (!('address' in error) || typeof error.address !== 'string') return undefined;
  if (!('port' in error) || typeof error.port !== 'number') return undefined;
  return addressOf({ host: error.address, port: error.port });
}

const LISTEN_TEXTS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'bind: address already in use',
  EACCES: 'bind: permission denied',
  EADDRNOTAVAIL: 'bind: cannot assign requested address',
};

export function listenText(address: string, error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return `listen tcp ${address}: ${LISTEN_TEXTS[code] ?? error.message}`;
}
