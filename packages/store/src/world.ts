/**
 * The real world for a member: the machine's clock, file system, network and randomness. Everything a
 * simulation or an embedder replaces is here and nowhere else.
 */
import { randomBytes } from 'node:crypto';
import { Prng, systemClock, type Logger } from '@keelson/base';
import { DirectoryHome } from './backend/home.ts';
import { LevelBackend } from './backend/level-backend.ts';
import type { ServerConfig } from './config/flag-table.ts';
import { NodeDisk } from './disk/node-disk.ts';
import { peerMessageBytesMax } from './limits.ts';
import { HttpPeerTransport } from './peer/transport.ts';
import { bindHost } from './rpc/client-ports.ts';
import type { World } from './server.ts';

export function realWorld(config: ServerConfig, logger: Logger): World {
  const disk = new NodeDisk();
  return {
    clock: systemClock,
    disk,
    home: (directory) => new DirectoryHome(disk, directory, (path) => LevelBackend.open(disk, path)),
    prng: new Prng(randomBytes(4).readUInt32LE(0)),
    random64: () => randomBytes(8).readBigUInt64LE(0),
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
