/**
 * Starts the control loops of a cluster: makes those that are switched on, gives them their shared informers, and stops
 * them all. With leader election they run while this process leads.
 */

import type { Clock, Logger, Prng } from '@keelson/base';
import {
  Discovery,
  EventRecorder,
  InformerSet,
  LeaderElection,
  MetricSet,
  RestClient,
  type KubeObject,
  type LeaderElectionOptions,
  type Transport,
} from '@keelson/kube-client';

import { ALL_BY_DEFAULT, enabledControllers, type ControllerName } from './controller-names.ts';
import type { Controller, ControllerParts } from './controller.ts';
import { policyStatus, type PolicyTypeCheck } from './admission-policies/policy-status.ts';
import { GarbageCollector, type GarbageCollectorOptions } from './garbage-collector/garbage-collector.ts';
import { NamespaceController, type NamespaceOptions } from './namespace/namespace-controller.ts';
import { rootCertificatePublisher } from './root-certificate/root-certificate-publisher.ts';
import { finishedJobs } from './jobs/finished-jobs.ts';
import { volumeClaimProtection } from './protection/volume-claim-protection.ts';
import { volumeProtection } from './protection/volume-protection.ts';
import { ResourceQuotas, type QuotaAccounts } from './quota/resource-quotas.ts';
import { requestApproval } from './certificates/request-approval.ts';
import { requestCleaning } from './certificates/request-cleaning.ts';
import { requestSigning, YEAR_MS, type SigningOptions } from './certificates/request-signing.ts';
import { endpointSlices } from './endpoints/endpoint-slices.ts';
import { serviceEndpoints } from './endpoints/service-endpoints.ts';
import { sliceMirroring } from './endpoints/slice-mirroring.ts';
import { serviceNetworks } from './service-networks/service-networks.ts';
import { bootstrapSigner } from './tokens/bootstrap-signer.ts';
import { LegacyTokenCleaner } from './tokens/legacy-token-cleaner.ts';
import { tokenCleaner } from './tokens/token-cleaner.ts';
import { tokenSecrets } from './tokens/token-secrets.ts';
import { defaultServiceAccounts } from './service-accounts/default-service-accounts.ts';

export interface ControllersOptions {
  /** An API server in this process, or a way to one. */
  readonly transport: Transport;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly logger: Logger;
  readonly metrics?: MetricSet;
  /** --controllers; all that are on by default unless said. */
  readonly controllers?: readonly string[];
  /** PEM of what clients in the cluster verify the API server by; without it nothing is published. */
  readonly rootCertificate?: string;
  /**
   * Signs the token of a service account that lives in a Secret of that name; without it such Secrets stay empty.
   */
  readonly signSecretToken?: (account: KubeObject, secretName: string) => string;
  /** How quotas are counted, as admission does it; without it nobody counts them. */
  readonly quotaAccounts?: QuotaAccounts;
  /** Reads requests for certificates and signs them; without it such requests wait for somebody else. */
  readonly certificates?: SigningOptions & {
    /** When a certificate (PEM) ends, ms; undefined when it cannot be read. */
    readonly endOf: (certificate: string) => number | undefined;
  };
  /** How long a token of old is unused before it is deleted; a year unless said. */
  readonly legacyTokenCleanUpMs?: number;
  /**
   * Where several processes run loops on one cluster: they run in the one that holds the Lease
   * kube-system/kube-controller-manager. `identity` is unlike any other's. Without it they run at once.
   */
  readonly leaderElection?: Pick<LeaderElectionOptions, 'identity'> &
    Partial<Pick<LeaderElectionOptions, 'namespace' | 'name' | 'leaseMs' | 'renewMs' | 'retryMs'>>;
  /** Finds what is wrong with validating admission policies; without it their status stays empty. */
  readonly policyWarnings?: PolicyTypeCheck;
  readonly namespace?: Partial<NamespaceOptions>;
  readonly garbageCollector?: GarbageCollectorOptions;
}

export interface RunningControllers {
  /** Of those that run. */
  readonly names: readonly string[];
  readonly metrics: MetricSet;
  /** Names of the loops that have not seen all there is yet. */
  unsynced(): readonly string[];
  /** Whether no loop has anything to do, as far as they know. */
  quiet(): boolean;
  /** Resolves when nothing runs any more. The transport stays open. */
  stop(): Promise<void>;
}

/** Where there may be several servers, a namespace is left alone as long as the original does. */
const GRACE_MS = 5_000;
/** Of a single server, admission hears of a deletion within milliseconds. */
const GRACE_ALONE_MS = 200;

interface Entry extends ControllerName {
  /** undefined: it has not been given what it needs. */
  readonly make: (parts: ControllerParts, options: ControllersOptions) => Controller | undefined;
}

const CONTROLLERS: readonly Entry[] = [
  {
    name: 'namespace-controller',
    alias: 'namespace',
    make: (parts, { namespace, leaderElection }) =>
      new NamespaceController(parts, {
        graceMs: leaderElection === undefined ? GRACE_ALONE_MS : GRACE_MS,
        ...namespace,
      }),
  },
  {
    name: 'garbage-collector-controller',
    alias: 'garbagecollector',
    make: (parts, { garbageCollector }) => new GarbageCollector(parts, garbageCollector),
  },
  {
    name: 'serviceaccount-controller',
    alias: 'serviceaccount',
    make: (parts) => defaultServiceAccounts(parts),
  },
  {
    name: 'root-ca-certificate-publisher-controller',
    alias: 'root-ca-cert-publisher',
    make: (parts, { rootCertificate }) =>
      rootCertificate === undefined ? undefined : rootCertificatePublisher(parts, rootCertificate),
  },
  {
    name: 'serviceaccount-token-controller',
    alias: 'serviceaccount-token',
    make: (parts, { signSecretToken: sign, rootCertificate }) =>
      sign === undefined
        ? undefined
        : tokenSecrets(parts, { sign, ...(rootCertificate === undefined ? {} : { rootCertificate }) }),
  },
  {
    name: 'ttl-after-finished-controller',
    alias: 'ttl-after-finished',
    make: (parts) => finishedJobs(parts),
  },
  {
    name: 'persistentvolumeclaim-protection-controller',
    alias: 'pvc-protection',
    make: (parts) => volumeClaimProtection(parts),
  },
  {
    name: 'persistentvolume-protection-controller',
    alias: 'pv-protection',
    make: (parts) => volumeProtection(parts),
  },
  {
    name: 'resourcequota-controller',
    alias: 'resourcequota',
    make: (parts, { quotaAccounts }) =>
      quotaAccounts === undefined ? undefined : new ResourceQuotas(parts, quotaAccounts),
  },
  {
    name: 'certificatesigningrequest-signing-controller',
    alias: 'csrsigning',
    make: (parts, { certificates }) =>
      certificates === undefined ? undefined : requestSigning(parts, certificates),
  },
  {
    name: 'certificatesigningrequest-approving-controller',
    alias: 'csrapproving',
    make: (parts, { certificates }) =>
      certificates === undefined ? undefined : requestApproval(parts, certificates.read),
  },
  {
    name: 'certificatesigningrequest-cleaner-controller',
    alias: 'csrcleaner',
    make: (parts, { certificates }) =>
      certificates === undefined ? undefined : requestCleaning(parts, certificates.endOf),
  },
  {
    name: 'legacy-serviceaccount-token-cleaner-controller',
    alias: 'legacy-service-account-token-cleaner',
    make: (parts, { legacyTokenCleanUpMs = YEAR_MS }) => new LegacyTokenCleaner(parts, legacyTokenCleanUpMs),
  },
  {
    name: 'endpoints-controller',
    alias: 'endpoint',
    make: (parts) => serviceEndpoints(parts),
  },
  {
    name: 'endpointslice-controller',
    alias: 'endpointslice',
    make: (parts) => endpointSlices(parts),
  },
  {
    name: 'endpointslice-mirroring-controller',
    alias: 'endpointslicemirroring',
    make: (parts) => sliceMirroring(parts),
  },
  {
    name: 'service-cidr-controller',
    alias: 'service-cidr-controller',
    make: (parts) => serviceNetworks(parts),
  },
  {
    name: 'bootstrap-signer-controller',
    alias: 'bootstrapsigner',
    offByDefault: true,
    make: (parts) => bootstrapSigner(parts),
  },
  {
    name: 'validatingadmissionpolicy-status-controller',
    alias: 'validatingadmissionpolicy-status',
    make: (parts, { policyWarnings: check }) =>
      check === undefined ? undefined : policyStatus(parts, check),
  },
  {
    name: 'token-cleaner-controller',
    alias: 'tokencleaner',
    offByDefault: true,
    make: (parts) => tokenCleaner(parts),
  },
];

/** The loops there are, in the order in which they start. */
export const CONTROLLER_NAMES: readonly ControllerName[] = CONTROLLERS;

/**
 * Looks at the words of --controllers before anything is started.
 *
 * @throws ControllerNameError in kube-controller-manager's words
 */
export function checkControllers(words: readonly string[]): void {
  enabledControllers(words, CONTROLLERS);
}

const AGENT = 'kube-controller-manager/v1.36 (keelson)';
const LEASE = 'kube-controller-manager';
const LEASE_NAMESPACE = 'kube-system';

/**
 * Starts the loops. They wait by themselves for a server that is not there yet.
 *
 * @throws ControllerNameError for a name that no loop has
 */
export function startControllers(options: ControllersOptions): RunningControllers {
  const { transport, clock, prng, logger, leaderElection } = options;
  const enabled = enabledControllers(options.controllers ?? ALL_BY_DEFAULT, CONTROLLERS);
  const metrics = options.metrics ?? new MetricSet();
  const client = new RestClient({ transport, clock, metrics, userAgent: AGENT });
  const entries = CONTROLLERS.filter(({ name }) => enabled.has(name));
  if (leaderElection === undefined) {
    const loops = new Loops(entries, options, client, metrics);
    return { ...viewOf(() => loops), names: loops.names, metrics, stop: () => loops.stop() };
  }
  let loops: Loops | undefined;
  const election = new LeaderElection({
    client: client.named(`${AGENT} leader-election`),
    clock,
    prng,
    logger,
    metrics,
    namespace: LEASE_NAMESPACE,
    name: LEASE,
    ...leaderElection,
  });
  election.start(async (signal) => {
    const own = new Loops(entries, options, client, metrics);
    loops = own;
    if (!signal.aborted) {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    }
    await own.stop();
    loops = undefined;
  });
  return {
    ...viewOf(() => loops),
    names: entries.map(({ name }) => name),
    metrics,
    stop: () => election.stop(),
  };
}

/** What is seen of the loops while they run; those that do not run have seen all they have to. */
function viewOf(loops: () => Loops | undefined): Pick<RunningControllers, 'unsynced' | 'quiet'> {
  return { unsynced: () => loops()?.unsynced() ?? [], quiet: () => loops()?.quiet ?? true };
}

/** The loops of one term: made, started, and stopped for good. */
class Loops {
  private readonly running = new Map<string, Controller>();
  private readonly informers: InformerSet;
  private readonly recorders: EventRecorder[] = [];

  constructor(
    entries: readonly Entry[],
    options: ControllersOptions,
    client: RestClient,
    metrics: MetricSet,
  ) {
    const { clock, prng, logger } = options;
    this.informers = new InformerSet({ client, clock, prng, logger });
    const discovery = new Discovery(client);
    for (const { name, make } of entries) {
      const own = client.named(`${AGENT} ${name}`);
      const recorder = new EventRecorder({ client: own, clock, logger, metrics, component: name });
      const { informers } = this;
      const controller = make(
        { client: own, informers, discovery, clock, prng, logger, metrics, recorder },
        options,
      );
      if (controller === undefined) continue;
      this.running.set(name, controller);
      this.recorders.push(recorder);
    }
    this.informers.start();
    for (const controller of this.running.values()) controller.start();
  }

  get names(): readonly string[] {
    return [...this.running.keys()];
  }

  unsynced(): string[] {
    return [...this.running].filter(([, controller]) => !controller.synced).map(([name]) => name);
  }

  get quiet(): boolean {
    return [...this.running.values()].every((controller) => controller.quiet);
  }

  async stop(): Promise<void> {
    await Promise.all([
      ...[...this.running.values()].map((controller) => controller.stop()),
      this.informers.stop(),
    ]);
    await Promise.all(this.recorders.map((recorder) => recorder.stop()));
  }
}
