/**
 * Who a member is that starts without a log: a founder of the cluster that --initial-cluster names, or one
 * that joins a running cluster and asks its members.
 */
import { lookup, resolveSrv } from 'node:dns/promises';
import type { Agent, AgentOptions } from 'node:http';
import { hexId, type Clock, type Logger } from '@keelson/base';
import type { DialTls } from '@keelson/rpc';
import type { ServerConfig } from './config/flag-table.ts';
import { clusterId, memberId } from './config/ids.ts';
import {
  hostsToResolve,
  verifyBootstrap,
  verifyJoinExisting,
  type InitialCluster,
} from './config/initial-cluster.ts';
import { memberLocalAddress } from './config/local-address.ts';
import { urlTexts } from './config/urls.ts';
import { initialClusterFromName } from './config/validate.ts';
import type { Founding } from './consensus/member-storage.ts';
import { joinByRegistry } from './discovery/registry.ts';
import { RegistryClient } from './discovery/registry-client.ts';
import { srvCluster, type Resolver } from './discovery/srv-cluster.ts';
import { FatalError } from './errors.ts';
import { agreedCluster, joiningId, runningCluster } from './http/cluster-info.ts';
import { askVersions, OLDEST_MEMBER_VERSION, tooOld } from './http/cluster-version.ts';
import { PeerAgent, type PeerCarrier } from './peer/peer-tls.ts';

/** Time the others have to say what cluster it is, to one that joins, and to one that founds (etcd's). */
const JOIN_ANSWER_MS = 10_000;
const BOOTSTRAP_ANSWER_MS = 1_000;
/** Time the members have to say their versions to one that joins. */
const VERSION_ANSWER_MS = 1_000;

const SYSTEM_RESOLVER: Resolver = {
  srv: resolveSrv,
  address: async (host) => (await lookup(host)).address,
};

/** Of requests to other members that are no messages of raft. */
export function peerAgentOptions(config: ServerConfig): AgentOptions {
  const localAddress = memberLocalAddress(config);
  return localAddress === undefined ? {} : { localAddress };
}

/** What of the outer world is asked. */
export interface FoundingWorld {
  readonly peerDial?: DialTls;
  readonly peerCarrier?: PeerCarrier;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Undefined: the system's. */
  readonly resolver?: Resolver;
}

/** Who a member without a log is, by its flags and those who run already. @throws FatalError saying what does not fit */
export async function foundingOf(flags: ServerConfig, world: FoundingWorld): Promise<Founding> {
  const { peerDial, peerCarrier, clock, logger, resolver = SYSTEM_RESOLVER } = world;
  const config = await discovered(flags, clock, logger, resolver);
  const agent = new PeerAgent(peerAgentOptions(flags), peerDial, clock, peerCarrier);
  try {
    return config.initialClusterState === 'existing'
      ? await joiningOf(config, agent, clock)
      : await newClusterOf(config, agent, resolver);
  } finally {
    agent.destroy();
  }
}

/** The flags, with the first members that others were asked for. */
async function discovered(
  config: ServerConfig,
  clock: Clock,
  logger: Logger,
  resolver: Resolver,
): Promise<ServerConfig> {
  if (config.discoverySrv !== '')
    return { ...config, initialCluster: await srvCluster(config, resolver, logger) };
  if (config.discoveryEndpoints.length === 0) return config;
  const token = config.discoveryToken;
  const own = config.initialAdvertisePeerUrls;
  const registration = initialClusterFromName(config.name, own);
  // One that joins was told to the cluster already: it asks its members, as etcd does.
  if (config.initialClusterState === 'existing') return { ...config, initialCluster: registration };
  const registry = new RegistryClient(config);
  try {
    const founder = { token, memberId: memberId(urlTexts(own), token), registration };
    const initialCluster = await joinByRegistry(founder, registry, clock, logger);
    return { ...config, initialCluster, initialClusterToken: token };
  } finally {
    registry.close();
  }
}

function otherUrls(config: ServerConfig, cluster: InitialCluster): string[] {
  return [...cluster].flatMap(([name, urls]) => (name === config.name ? [] : urlTexts(urls))).sort();
}

async function joiningOf(config: ServerConfig, agent: Agent, clock: Clock): Promise<Founding> {
  const cluster = verifyJoinExisting(config);
  if (!cluster.ok) throw new FatalError(cluster.error);
  const running = await agreedCluster(otherUrls(config, cluster.value), agent, JOIN_ANSWER_MS, clock);
  if (running === undefined)
    throw new FatalError(
      'cannot fetch cluster info from peer urls: could not retrieve cluster information from the given URLs',
    );
  const local = new Map([...cluster.value].map(([name, urls]) => [name, urlTexts(urls)]));
  const memberId = joiningId(running, local, config.name);
  // Should nobody answer, peers refuse each other by the versions in their headers.
  const old = tooOld(await askVersions(running.members, memberId, agent, VERSION_ANSWER_MS));
  if (old !== undefined)
    throw new FatalError(
      `incompatible with current running cluster: a member runs ${old}, and ${OLDEST_MEMBER_VERSION} or newer is needed`,
    );
  return {
    memberId,
    clusterId: running.clusterId,
    members: [],
  };
}

/** What names resolve to; those that do not are left out. */
export async function addressesOf(
  hosts: readonly string[],
  resolver: Resolver = SYSTEM_RESOLVER,
): Promise<Map<string, string>> {
  const addresses = new Map<string, string>();
  for (const host of hosts) {
    // What cannot be resolved is compared by its text.
    const found = await resolver.address(host).catch(() => undefined);
    if (found !== undefined) addresses.set(host, found);
  }
  return addresses;
}

async function newClusterOf(config: ServerConfig, agent: Agent, resolver: Resolver): Promise<Founding> {
  const cluster = verifyBootstrap(config, await addressesOf(hostsToResolve(config), resolver));
  if (!cluster.ok) throw new FatalError(cluster.error);
  const members = [...cluster.value].map(([name, urls]) => ({
    name,
    id: memberId(urlTexts(urls), config.initialClusterToken),
    peerUrls: urlTexts(urls),
  }));
  const self = members.find((member) => member.name === config.name)!;
  const running = await runningCluster(otherUrls(config, cluster.value), agent, BOOTSTRAP_ANSWER_MS);
  if (running?.members.some((member) => member.id === self.id && member.clientUrls.length > 0) === true)
    throw new FatalError(`member ${hexId(self.id)} has already been bootstrapped`);
  return {
    memberId: self.id,
    clusterId: clusterId(members.map((member) => member.id)),
    members: members.map(({ id, peerUrls, name }) => ({
      id,
      peerUrls,
      name,
      isLearner: false,
      clientUrls: [],
    })),
  };
}
