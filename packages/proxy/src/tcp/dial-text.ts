/** Why a member could not be reached, as etcd's log lines say it (the texts of Go's net package). */

const SYSTEM_TEXTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect: connection refused',
  ECONNRESET: 'connect: connection reset by peer',
  EHOSTUNREACH: 'connect: no route to host',
  ENETUNREACH: 'connect: network is unreachable',
  ETIMEDOUT: 'connect: connection timed out',
  EADDRNOTAVAIL: 'connect: cannot assign requested address',
  EMFILE: 'socket: too many open files',
};

export function dialText(address: string, error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (code === 'ENOTFOUND') return `dial tcp: lookup ${address.replace(/:\d+$/, '')}: no such host`;
  return `dial tcp ${address}: ${SYSTEM_TEXTS[code] ?? error.message}`;
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
