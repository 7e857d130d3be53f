/**
 * One member of the store inside this process, a cluster by itself: no port, its clients come over a channel that is two
 * queues. Its data lie in memory or in a folder, in the same files as a member's that is a process.
 */
import { resolve } from 'node:path';
import type { Clock, Logger } from '@keelson/base';
import { Client } from '@keelson/client';
import { inProcessChannel } from '@keelson/rpc';
import {
  defaultServerConfig,
  MemoryBackend,
  realWorld,
  StoreServer,
  type ServerConfig,
  type World,
} from '@keelson/store';
import { MemoryDisk } from './memory-disk.ts';

export interface StoreMemberOptions {
  /** Undefined: in memory. */
  readonly folder: string | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

const NAME = 'embedded';
/** Names in the member's own records; nobody dials them. */
const PEER_URL = 'http://127.0.0.1:2380';
const CLIENT_URL = 'http://127.0.0.1:2379';
/**
 * In memory a segment of the log is all there is of it, and the next one is made ahead: etcd's 64 MB would be its size
 * from the start. An entry that is larger makes its segment as large as it needs.
 */
const MEMORY_SEGMENT_BYTES = 128_000;

export class StoreMember {
  readonly client: Client;
  private readonly server: StoreServer;

  private constructor(server: StoreServer, clock: Clock) {
    this.server = server;
    const channel = inProcessChannel(server.table, { hooks: server.hooks, clock });
    this.client = new Client({ endpoints: ['in-process'], clock, channelFactory: () => channel });
  }

  /** Resolves when the member serves. @throws what keeps it from starting */
  static async start({ folder, clock, logger }: StoreMemberOptions): Promise<StoreMember> {
    const config = configOf(folder);
    const world: World = {
      ...realWorld(config, logger),
      ...(folder === undefined ? inMemory() : {}),
      clock,
      socketless: true,
    };
    const server = await StoreServer.start(config, world);
    await server.ready();
    return new StoreMember(server, clock);
  }

  /** Settles when the member cannot go on. */
  get failed(): Promise<Error> {
    return this.server.failed;
  }

  async stop(): Promise<void> {
    this.client.close();
    await this.server.stop();
  }
}

function configOf(folder: string | undefined): ServerConfig {
  const { initialAdvertisePeerUrls, advertiseClientUrls } = defaultServerConfig();
  return {
    ...defaultServerConfig(),
    name: NAME,
    dataDir: folder === undefined ? '/member' : resolve(folder),
    listenClientUrls: [],
    listenPeerUrls: [],
    advertiseClientUrls: urlsFrom(advertiseClientUrls, CLIENT_URL),
    initialAdvertisePeerUrls: urlsFrom(initialAdvertisePeerUrls, PEER_URL),
    initialCluster: `${NAME}=${PEER_URL}`,
  };
}

/** The default, which is this very URL. */
function urlsFrom(defaults: ServerConfig['listenPeerUrls'], wanted: string): ServerConfig['listenPeerUrls'] {
  const found = defaults.filter(({ text }) => text === wanted);
  return found.length > 0 ? found : defaults;
}

/** A disk and a backend that end with the process. */
function inMemory(): Pick<World, 'disk' | 'home' | 'tuning'> {
  let backend = new MemoryBackend();
  return {
    disk: new MemoryDisk(),
    home: () => ({
      open: () => Promise.resolve(backend),
      openIncoming: () => Promise.resolve(new MemoryBackend()),
      syncNames: () => Promise.resolve(),
      adopt: (incoming) => {
        if (incoming instanceof MemoryBackend) backend = incoming;
        return Promise.resolve();
      },
      discard: (old) => old.close(),
    }),
    tuning: { walSegmentBytes: MEMORY_SEGMENT_BYTES },
  };
}
