/**
 * The world a member lives in, as an interface, and the real one: the machine's clock, file system, network
 * and randomness. Everything a simulation or an embedder replaces is here and nowhere else.
 */
import { randomBytes } from 'node:crypto';
import { Prng, systemClock, toError, type Clock, type Disk, type Logger } from '@keelson/base';
import type { DialTls } from '@keelson/rpc';
import { AuditFile, StreamOutput } from './audit/audit-file.ts';
import type { LineOutput } from './audit/audit-log.ts';
import { DirectoryHome, type BackendHome } from './backend/home.ts';
import { LevelBackend } from './backend/level-backend.ts';
import type { Secrets } from './auth/secrets.ts';
import type { ServerConfig } from './config/flag-table.ts';
import { memberLocalAddress } from './config/local-address.ts';
import { isSocketUrl, type EtcdUrl } from './config/urls.ts';
import type { Resolver } from './discovery/srv-cluster.ts';
import { isLocked } from './disk/file-lock.ts';
import { NodeDisk } from './disk/node-disk.ts';
import { FatalError } from './errors.ts';
import type { Failpoints } from './failpoints/failpoints.ts';
import { processFacts, type ProcessFacts } from './http/process-facts.ts';
import { parseRotation } from './logging/rotation.ts';
import type { PeerIdentity } from './peer/peer-identity.ts';
import type { PeerHandler } from './peer/peer-options.ts';
import type { PeerCarrier } from './peer/peer-tls.ts';
import type { ExtraHandlers } from './peer/peer-server.ts';
import { HttpPeerTransport, type PeerTransport } from './peer/transport.ts';
import { systemSecrets } from './secrets/system-secrets.ts';
import { bindHost } from './rpc/client-ports.ts';
import { checkTlsSettings } from './tls/check-settings.ts';
import { TlsAcceptor } from './tls/tls-acceptor.ts';
import { tlsDialer } from './tls/tls-dialer.ts';
import {
  clientTlsSettings,
  describeSettings,
  hasCertificate,
  peerTlsSettings,
  type TlsSettings,
} from './tls/tls-settings.ts';
import type { Tuning } from './tuning.ts';

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
  /** Of the process; undefined: a simulated member has none. */
  readonly facts?: ProcessFacts;
  readonly transport: (identity: PeerIdentity, handler: PeerHandler, extra: ExtraHandlers) => BoundTransport;
  /** TLS of the client ports; undefined: they have none. */
  readonly clientTls?: TlsSettings;
  /** Undefined, as nearly always: there are none. */
  readonly failpoints?: Failpoints | undefined;
  /** Opens what --audit-log names; undefined: there is no such place. Rejects when it cannot be opened. */
  readonly auditOutput?: () => Promise<LineOutput>;
  /** Of names in DNS; undefined: the system's. */
  readonly resolver?: Resolver;
  /** How https URLs of other members are dialled; undefined: as the runtime does it. */
  readonly peerDial?: DialTls;
  /** Requests to other members that are no messages of raft; undefined: over HTTP. */
  readonly peerCarrier?: PeerCarrier;
  /** A world without sockets: clients come in process, and no server for HTTP is made. */
  readonly socketless?: boolean;
  /** Bounds at their edges; undefined in production. */
  readonly tuning?: Tuning;
}

/**
 * The machine's own, for a member of this configuration.
 * @throws FatalError when what the TLS flags name cannot be used; node's errors of files that cannot be written
 */
export function realWorld(config: ServerConfig, logger: Logger, failpoints?: Failpoints): World {
  const disk = new NodeDisk(systemClock);
  const peerTls = peerTlsSettings(config, systemClock, logger);
  const clientTls = clientTlsSettings(config, systemClock, logger);
  checkTlsSettings(peerTls);
  checkTlsSettings(clientTls);
  const peerDial = tlsDialer(peerTls);
  return {
    clientTls,
    peerDial,
    clock: systemClock,
    disk,
    failpoints,
    home: (directory) =>
      new DirectoryHome(disk, directory, async (path) => {
        const backend = await LevelBackend.open(disk, path, isLocked);
        return failpoints?.backend(backend) ?? backend;
      }),
    prng: new Prng(randomBytes(4).readUInt32LE(0)),
    random64: () => randomBytes(8).readBigUInt64LE(0),
    secrets: systemSecrets,
    facts: processFacts(),
    auditOutput: () => auditOutput(config, logger),
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
        },
        extraHandlers,
        localAddress: memberLocalAddress(config),
        tls: { acceptor: peerAcceptor(config, peerTls, logger), dial: peerDial },
      });
      return Object.assign(transport, {
        listenUrl: async (url: ServerConfig['listenPeerUrls'][number]): Promise<void> => {
          const secure = url.scheme === 'https' || url.scheme === 'unixs';
          if (isSocketUrl(url)) await transport.listenAt(url.socketPath, secure);
          else await transport.listen(bindHost(url) ?? '::', url.port, secure);
        },
      });
    },
  };
}

/** Undefined without a certificate. */
function peerAcceptor(config: ServerConfig, settings: TlsSettings, logger: Logger): TlsAcceptor | undefined {
  for (const { text } of config.listenPeerUrls.filter((url) => url.scheme === 'http')) {
    const fields = { 'peer-url': text };
    if (hasCertificate(settings))
      logger.warn('scheme is HTTP while key and cert files are present; ignoring key and cert files', fields);
    if (settings.clientCertAuth)
      logger.warn(
        'scheme is HTTP while --peer-client-cert-auth is enabled; ignoring client cert auth for this URL',
        fields,
      );
  }
  if (!hasCertificate(settings)) return undefined;
  logger.info('starting with peer TLS', {
    'tls-info': describeSettings(settings),
    'cipher-suites': config.cipherSuites,
  });
  return new TlsAcceptor({
    settings,
    endpoint: 'peer',
    protocol: (offered) => (offered.includes('http/1.1') ? 'http/1.1' : undefined),
    clock: systemClock,
    logger,
  });
}

/** @throws FatalError for a rotation that says nothing; node's error of a file that cannot be opened */
function auditOutput(config: ServerConfig, logger: Logger): Promise<LineOutput> {
  const { auditLog: target, auditLogRotationConfigJson: rotation } = config;
  if (target === 'stdout') return Promise.resolve(new StreamOutput(process.stdout));
  if (target === 'stderr') return Promise.resolve(new StreamOutput(process.stderr));
  const policy = rotation === '' ? undefined : parseRotation(rotation);
  if (policy !== undefined && !policy.ok)
    return Promise.reject(new FatalError(`--audit-log-rotation-config-json: ${policy.error}`));
  const file = new AuditFile(
    target,
    policy?.value,
    () => systemClock.nowMs(),
    (error) => logger.error('failed to tidy old audit files', { error: toError(error).message }),
  );
  return file.open();
}
