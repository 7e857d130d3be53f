/**
 * Starts the control loops of a cluster: makes those that are switched on, gives them their shared informers, and stops
 * them all. With leader election they run while this process leads.
 */

import type { Clock, Logger, Prng } from '@keelson/base';
import { Discovery, InformerSet, MetricSet, RestClient, type Transport } from '@keelson/kube-client';

import { ALL_BY_DEFAULT, enabledControllers, type ControllerName } from './controller-names.ts';
import type { Controller, ControllerParts, Recorder } from './controller.ts';
import { GarbageCollector, type GarbageCollectorOptions } from './garbage-collector/garbage-collector.ts';
import { NamespaceController, type NamespaceOptions } from './namespace/namespace-controller.ts';
import { rootCertificatePublisher } from './root-certificate/root-certificate-publisher.ts';
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
  readonly namespace?: NamespaceOptions;
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

interface Entry extends ControllerName {
  /** undefined: it has not been given what it needs. */
  readonly make: (parts: ControllerParts, options: ControllersOptions) => Controller | undefined;
}

const CONTROLLERS: readonly Entry[] = [
  {
    name: 'namespace-controller',
    alias: 'namespace',
    make: (parts, { namespace }) => new NamespaceController(parts, namespace),
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
];

/** The loops there are, in the order in which they start. */
export const CONTROLLER_NAMES: readonly ControllerName[] = CONTROLLERS;

const AGENT = 'kube-controller-manager/v1.36 (keelson)';

/**
 * Starts the loops. They wait by themselves for a server that is not there yet.
 *
 * @throws ControllerNameError for a name that no loop has
 */
export function startControllers(options: ControllersOptions): RunningControllers {
  const { transport, clock, prng, logger } = options;
  const enabled = enabledControllers(options.controllers ?? ALL_BY_DEFAULT, CONTROLLERS);
  const metrics = options.metrics ?? new MetricSet();
  const client = new RestClient({ transport, clock, metrics, userAgent: AGENT });
  const informers = new InformerSet({ client, clock, prng, logger });
  const discovery = new Discovery(client);
  const recorder: Recorder = {
    event: (about, type, reason, message) =>
      logger.log(type === 'Warning' ? 'warn' : 'info', message, { reason, name: about.metadata.name }),
  };
  const running = new Map<string, Controller>();
  for (const { name, make } of CONTROLLERS) {
    if (!enabled.has(name)) continue;
    const parts: ControllerParts = {
      client: client.named(`${AGENT} ${name}`),
      informers,
      discovery,
      clock,
      prng,
      logger,
      metrics,
      recorder,
    };
    const controller = make(parts, options);
    if (controller !== undefined) running.set(name, controller);
  }
  informers.start();
  for (const controller of running.values()) controller.start();
  return {
    names: [...running.keys()],
    metrics,
    unsynced: () => [...running].filter(([, controller]) => !controller.synced).map(([name]) => name),
    quiet: () => [...running.values()].every((controller) => controller.quiet),
    async stop() {
      await Promise.all([...[...running.values()].map((controller) => controller.stop()), informers.stop()]);
    },
  };
}
