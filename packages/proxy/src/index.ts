/**
 * What stands between clients and a cluster: `etcd gateway start` forwards bytes (src/tcp), `etcd grpc-proxy
 * start` understands the API and lets many clients share one watch and one lease stream (src/grpc).
 */
export { isProxyCommand, runProxy } from './commands.ts';
export type { ProxyIo } from './io.ts';
