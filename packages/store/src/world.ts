/**
 * The world a member lives in, as an interface, and the real one: the machine's clock, file system, network
 * and randomness. Everything a simulation or an embedder replaces is here and nowhere else.
 */
import { randomBytes } from 'node:crypto';
import { Prng, systemClock, type Clock, type Disk, type Logger } from '@keelson/base';
import { DirectoryHome, type BackendHome } from './backend/home.ts';
import { LevelBackend } from './backend/level-backend.ts';
import type { Secrets } from './auth/secrets.ts';
import type { ServerConfig } from './config/flag-table.ts';
import type { EtcdUrl } from './config/urls.ts';
import { NodeDisk } from './disk/node-disk.ts';
import { peerMessageBytesMax } from './limits.ts';
import type { PeerIdentity } from './peer/peer-identity.ts';
import type { PeerHandler } from './peer/peer-options.ts';
import type { ExtraHandlers } from './peer/peer-server.ts';
import { HttpPeerTransport, type PeerTransport } from './peer/transport.ts';
import { systemSecrets } from './secrets/system-secrets.ts';
import { bindHost } from './rpc/client-ports.ts';

/** A transport that can be bound to addresses; the one in memory has none. */
export interface BoundTransport extends PeerTransport {
  listenUrl?(url: EtcdUrl): Promise<void>;
}

/** Everything outside of a member. */
export interface World {
  readonly clock: Clock;
  readonly disk: Disk;
  /** Where the backend lives, given the member's snap directory. */
  readonly home: (snapDirectory: string) => BackendHome;
  /** Election timeouts and the like. */
  readonly prng: Prng;
  /** Unpredictable 64-bit values, for ids clients see. */
  readonly random64: () => bigint;
  /** Hashes of passwords, tokens. */
  readonly secrets: Secrets;
  /** Runs a task soon, after what is already pending. */
  readonly defer: (task: () => void) => void;
  readonly logger: Logger;
  readonly transport: (identity: PeerIdentity, handler: PeerHandler, extra: ExtraHandlers) => BoundTransport;
}

/** The machine's own, for a member of this configuration. */
export function realWorld(config: ServerConfig, logger: Logger): World {
  const disk = new NodeDisk();
  return {
    clock: systemClock,
    disk,
    home: (directory) => new DirectoryHome(disk, directory, (path) => LevelBackend.open(disk, path)),
    prng: new Prng(randomBytes(4).readUInt32LE(0)),
    random64: () => randomBytes(8).readBigUInt64LE(0),
    secrets: systemSecrets,
    defer: (task) => void setImmediate(task),
    logger,
    transport: (identity, handler, extraHandlers) => {
      const transport = new HttpPeerTransport({
        identity,
        handler,
        clock: systemClock,
        logger,
        limits: {
          readTimeoutMs: config.raftReadTimeoutMs,
          writeTimeoutMs: config.raftWriteTimeoutMs,
          dialTimeoutMs: 1_000 + config.electionTimeoutMs,
          messageBytesMax: peerMessageBytesMax(config.maxRequestBytes),
        },
        extraHandlers,
      });
      return Object.assign(transport, {
        listenUrl: async (url: ServerConfig['listenPeerUrls'][number]): Promise<void> => {
          await transport.listen(bindHost(url) ?? '::', url.port);
        },
      });
    },
  };
}
