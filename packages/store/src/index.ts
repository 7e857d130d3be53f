export { main } from './main.ts';
export { StoreServer, type BoundTransport, type World } from './server.ts';
export { realWorld } from './world.ts';
export { defaultServerConfig, parseServerConfig } from './config/config.ts';
export type { ServerConfig } from './config/flag-table.ts';
export { FatalError, StoreError, type ErrorCode } from './errors.ts';
