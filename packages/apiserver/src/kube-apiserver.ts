/**
 * A whole kube-apiserver out of its configuration: storage with caches, who may ask and do what, what is let in, the
 * steps a fresh cluster needs, the port. Joins rooms and settles the order in which they start and stop; decides
 * nothing. Many live in one process: what a process has one of (files, dice, the client of the store) is given.
 */

import { pause, type Clock, type Logger } from '@keelson/base';
import type { Client } from '@keelson/client';

import { makeAdmission } from './assembly/admission.ts';
import { admissionSettings } from './assembly/admission-config.ts';
import { AdmissionPolicies } from './assembly/admission-policies.ts';
import type { Aggregation } from './aggregation/aggregation.ts';
import { makeAggregation } from './assembly/aggregation.ts';
import { BegunParts } from './assembly/begun-parts.ts';
import type { ConfigReload } from './assembly/config-reload.ts';
import { makeAudit, type Audit } from './assembly/audit.ts';
import type { AdmissionFunction } from './admission/functions/admission-function.ts';
import { policyWarnings, type ExpressionWarning } from './admission/policies/type-check.ts';
import type { ApiResponse, Filter, Handler } from './api/exchange.ts';
import type { KubeObject } from './api/meta.ts';
import { makeAuthentication } from './assembly/authentication.ts';
import type { TokenIssuer } from './authn/token-request.ts';
import { makeAuthorization } from './assembly/authorization.ts';
import { accessMetrics } from './authz/access-metrics.ts';
import { authorize } from './authz/authorize.ts';
import { impersonate } from './authz/impersonate.ts';
import { withAccessResources } from './bootstrap/access-resources.ts';
import { Access } from './bootstrap/access.ts';
import { Bootstrap } from './bootstrap/bootstrap.ts';
import { apiServerId } from './bootstrap/identity-lease.ts';
import { TokenObjects } from './bootstrap/token-objects.ts';
import { ruleMetrics } from './crd/rule-metrics.ts';
import type { ServerCredentials } from './credentials/credentials.ts';
import { buildMetrics } from './assembly/build-metrics.ts';
import { makeBackendCaller } from './assembly/backend-caller.ts';
import { builtInKinds } from './assembly/built-in-kinds.ts';
import { DebugSocket } from './assembly/debug-socket.ts';
import { makeEncryption, type EncryptionAtRest } from './assembly/encryption.ts';
import { Fairness } from './assembly/fairness.ts';
import { cors } from './filters/cors.ts';
import { requestMetrics } from './filters/request-metrics.ts';
import { ShutdownRetryAfter } from './filters/shutdown-retry-after.ts';
import { strictTransportSecurity } from './filters/strict-transport-security.ts';
import { debugPages, type Profiler } from './handlers/debug-pages.ts';
import { flagz, statusz } from './handlers/zpages.ts';
import { API_VERSION, versionFacts } from './handlers/version.ts';
import { healthMetrics } from './handlers/health-metrics.ts';
import { Turns } from './flowcontrol/turns.ts';
import { eventLoop } from './http/event-loop.ts';
import type { CallAnswer, CallOptions } from './http/in-process.ts';
import { MetricsRegistry } from './metrics/registry.ts';
import type { CurrentKeys, KeySource } from './assembly/oidc-provider.ts';
import type { ServerConfig } from './options/config.ts';
import type { ProgramRunner } from './outbound/exec-credentials.ts';
import { HttpsCaller } from './outbound/https-caller.ts';
import { policyTypes } from './registry/policy-types.ts';
import type { BackendCaller } from './outbound/backend-caller.ts';
import { parseRuntimeConfig, type Scheme } from './registry/scheme.ts';
import { ApiServer, makeScheme, type ServedScheme } from './server.ts';
import type { StorageBackend } from './storage/storage.ts';
import { ServerHealth } from './assembly/server-health.ts';
import { listenHost, servingIdentity } from './assembly/serving-identity.ts';
import { advertisedAddress, externalAddress, type Machine } from './assembly/serving-names.ts';
import { openBackend, untilAnswers } from './assembly/store-backend.ts';
import { Tracing } from './assembly/tracing.ts';
import { readTracingConfig } from './assembly/tracing-config.ts';
import { objectStats, storageMetrics } from './assembly/storage-metrics.ts';

export interface KubeApiServerOptions {
  readonly config: ServerConfig;
  readonly credentials: ServerCredentials;
  /** Closed by whoever made it, after the server. */
  readonly client: Client;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A new random UUID (version 4). */
  readonly uuid: () => string;
  /** A random whole number, 0 ≤ n < limit. */
  readonly random: (limit: number) => number;
  readonly machine: Machine;
  /** All addresses of a name, best first. @throws with a code as getaddrinfo's */
  readonly lookup: (host: string) => Promise<readonly string[]>;
  /** Runs a program that makes credentials, where a kubeconfig names one. */
  readonly runProgram: ProgramRunner['run'];
  /** A file's text. @throws with a message that names it */
  readonly readFile: (path: string) => string;
  /** Deletes a file; it is well when there is none. */
  readonly removeFile: (path: string) => void;
  /** The keys of an issuer of tokens that is not the server itself. */
  readonly issuerKeys: (source: KeySource) => CurrentKeys;
  /** Functions of the process that writes have to pass, each among the plugins. */
  readonly admission?: readonly AdmissionFunction[];
  /** What the process says of itself, as text for /metrics; nothing in a process that has several servers. */
  readonly processMetrics?: (registry: MetricsRegistry) => void;
  readonly build?: { readonly commit: string; readonly date: string; readonly platform: string };
  /** Profiles of the process; without it there are none. */
  readonly profiler?: Profiler;
  /** Changes how much is logged. */
  readonly setVerbosity?: (verbosity: number) => void;
  /** Standard output, for `--audit-log-path=-`; the log's lines go elsewhere. */
  readonly print?: (text: string) => void;
}

/** Between looks whether the server is ready, at most. */
const READY_POLL_MS = 25;
/** Once it is time to stop: answers that are under way get as long. The original's, without a flag for it. */
const STOP_GRACE_MS = 10_000;
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export class KubeApiServer {
  readonly metrics: MetricsRegistry;
  /** What /metrics/slis tells. */
  private readonly indicators: MetricsRegistry;
  private readonly options: KubeApiServerOptions;
  private readonly backend: StorageBackend;
  private readonly served: ServedScheme;
  private readonly turns = new Turns(eventLoop);
  private readonly access: Access;
  private readonly policies: AdmissionPolicies;
  private readonly bootstrap: Bootstrap;
  private readonly audit: Audit | undefined;
  private readonly tracing: Tracing | undefined;
  private readonly encryption: EncryptionAtRest | undefined;
  /** Of the files of authentication and authorization. */
  private readonly reloads: readonly ConfigReload[];
  private readonly fairness: Fairness | undefined;
  private readonly tokenObjects = new TokenObjects();
  private readonly retryAfter = new ShutdownRetryAfter();
  private readonly server: ApiServer;
  private readonly loopbackToken: string;
  private readonly issuer: TokenIssuer;
  /** Calls out: webhooks of the flags and of objects. */
  private readonly caller: HttpsCaller;
  /** Requests handed on: to nodes, and to what stands behind pods and services. */
  private readonly backends: BackendCaller;
  private readonly aggregation: Aggregation;
  /** Ends those of the flags, once nobody waits for their answers. */
  private readonly calls = new AbortController();
  private readonly stopping = new AbortController();
  private readonly debugSocket: DebugSocket | undefined;
  private readonly health: ServerHealth;
  private readonly parts: BegunParts;
  private port = 0;
  private begun: Promise<void> = Promise.resolve();
  private stopped: Promise<void> | undefined = undefined;

  /** Opens nothing yet. @throws Error for a flag's value that cannot be, or a file that cannot be used */
  constructor(options: KubeApiServerOptions) {
    const { config, credentials, clock, logger, uuid, random, readFile, issuerKeys } = options;
    this.options = options;
    this.metrics = new MetricsRegistry(config.disabledMetrics);
    this.indicators = new MetricsRegistry(config.disabledMetrics);
    this.loopbackToken = `${uuid()}${uuid()}`;
    this.tracing =
      config.tracingFile === ''
        ? undefined
        : new Tracing({
            config: readTracingConfig(readFile(config.tracingFile)),
            clock,
            logger,
            metrics: this.metrics,
            uuid,
          });
    this.caller = new HttpsCaller(clock, this.tracing?.calls);
    this.backends = makeBackendCaller({ clock, lookup: options.lookup, metrics: this.metrics });
    this.aggregation = makeAggregation({
      config,
      credentials,
      caller: this.backends,
      clock,
      logger,
      metrics: this.metrics,
      random,
      readFile,
    });
    const programs: ProgramRunner = { run: options.runProgram, nowMs: () => clock.nowMs() };
    const { caller } = this;
    const serverId = apiServerId(options.machine.hostname);
    const given = { config, clock, logger, readFile, programs, caller, signal: this.calls.signal, serverId };
    const runtimeConfig = parseRuntimeConfig(config.runtimeConfig);
    const authentication = makeAuthentication({
      ...given,
      credentials,
      lookups: this.tokenObjects,
      uuid,
      loopbackToken: this.loopbackToken,
      address: () => (this.port === 0 ? undefined : externalAddress(config, this.options.machine, this.port)),
      issuerKeys,
      metrics: this.metrics,
    });
    this.issuer = authentication.issuer;
    const access = accessMetrics(this.metrics);
    const { modes, reload } = makeAuthorization({
      ...given,
      metrics: access,
      registry: this.metrics,
      changed: (next) => this.access.use(next),
    });
    this.reloads = [authentication.reload, reload].filter((one) => one !== undefined);
    this.access = new Access({ modes, clock, logger, observer: access.chain });
    this.bootstrap = this.makeBootstrap(modes.includes('RBAC'));
    this.policies = new AdmissionPolicies({
      scheme: () => this.served.scheme,
      clock,
      logger,
      metrics: this.metrics,
    });
    const { metrics, turns, policies } = this;
    const { authorizer } = this.access;
    const scheme = (): Scheme => this.served.scheme;
    const { chain: admission, webhooks } = makeAdmission({
      ...given,
      file: admissionSettings(given),
      policies,
      functions: options.admission ?? [],
      authorizer,
      scheme,
      turns,
      random,
      uuid,
      metrics,
    });
    const outermost = this.outermost();
    this.encryption = makeEncryption({ ...given, config: config.etcd, metrics, random, uuid });
    const { print } = options;
    this.audit = makeAudit({ config: config.audit, clock, logger, metrics, readFile, programs, print });
    // What may be wrong with the flags has been told by now: from here on something runs that must be stopped.
    const { encryption, tracing } = this;
    this.backend = openBackend({ ...given, client: options.client, metrics, encryption, tracing });
    this.fairness = config.fairness
      ? new Fairness({ config, clock, logger, metrics, objects: objectStats(this.backend) })
      : undefined;
    this.parts = new BegunParts([
      'store',
      'access',
      ...(this.fairness === undefined ? [] : (['fairness'] as const)),
      'customResources',
      'aggregation',
    ]);
    this.health = new ServerHealth({
      clock,
      logger,
      livezGraceMs: config.livezGraceMs,
      storeTimeoutMs: config.etcd.readyTimeoutMs,
    });
    const { backend, health } = this;
    const kinds = {
      metrics,
      config,
      clock,
      readFile,
      caller: this.backends,
      authorizer,
      backend,
      scheme,
    };
    const parts = { backend, clock, turns, uuid, random, mediaType: config.storageMediaType };
    this.served = makeScheme({
      ...parts,
      runtimeConfig,
      featureGates: config.featureGates,
      ruleTimes: ruleMetrics(metrics, clock),
      customResources: true,
      resources: (types) =>
        withAccessResources(builtInKinds(types, kinds), { access: this.access, ...authentication }),
    });
    const pages = this.debugPages();
    this.server = new ApiServer({
      ...parts,
      logger,
      served: this.served,
      admission,
      aggregation: this.aggregation,
      conversionCalls: webhooks,
      outermost,
      authenticate: this.audit?.around(authentication.filter) ?? authentication.filter,
      ...(this.tracing === undefined ? {} : { traced: this.tracing.filter }),
      ...(this.audit === undefined ? {} : { audit: this.audit.filter }),
      ...(this.fairness === undefined ? {} : { fairness: this.fairness.filter }),
      impersonate: impersonate(this.access.authorizer),
      authorize: authorize(this.access.authorizer, {
        decided: access.attempts,
        monotonicMs: () => clock.monotonicMs(),
      }),
      mayCreate: (request) => this.access.mayCreate(request),
      inFlight: { readingMax: config.readingMax, mutatingMax: config.mutatingMax },
      timeoutMs: config.requestTimeoutMs,
      watchSecondsMin: config.minRequestSeconds,
      ...(config.streamsMax === 0 ? {} : { limits: { streamsMax: config.streamsMax } }),
      ...(config.goawayChance === 0 ? {} : { goaway: { chance: config.goawayChance, random } }),
      sharing: { port: config.sharesPort },
      healthChecks: health.checks({
        started: [...this.access.checks, ...this.parts.checks, ...this.bootstrap.checks],
        encryption: encryption?.checks ?? [],
        backend,
        customResources: () => this.server.customResources,
      }),
      health: {
        ...healthMetrics(this.indicators),
        failed: (endpoint, check, reason) => health.failed(endpoint, check, reason),
      },
      paths: new Map([
        ...authentication.paths,
        ['/metrics', () => shown(this.metrics)],
        ['/metrics/slis', () => shown(this.indicators)],
        ['/flagz', flagz(config.flags)],
        ['/statusz', statusz(this.statusFacts())],
        ...(this.fairness?.paths ?? []),
      ]),
      unlisted: config.profiling ? pages : new Map(),
      spoken: config.spoken,
      ...(options.build === undefined ? {} : { build: options.build }),
    });
    this.debugSocket =
      config.debugSocket === ''
        ? undefined
        : new DebugSocket({
            path: config.debugSocket,
            pages,
            removeFile: options.removeFile,
            codec: this.served.codec,
            clock,
            logger,
            turns,
          });
    storageMetrics(this.metrics, this.backend);
    buildMetrics(this.metrics, versionFacts(options.build));
    options.processMetrics?.(this.metrics);
  }

  /**
   * Opens the port and begins what runs behind it; resolves when the port is open. Ready is what /readyz says.
   *
   * @returns the port
   */
  async start(): Promise<number> {
    const { config, credentials, logger } = this.options;
    const identity = servingIdentity(config, credentials, this.options.readFile);
    const { address, port } = await this.server.listen(
      config.securePort,
      listenHost(config.bindAddress),
      identity,
    );
    this.port = port;
    logger.info(`Serving securely on ${address.includes(':') ? `[${address}]` : address}:${port}`);
    await this.debugSocket?.start();
    this.begin();
    return port;
  }

  /** Begins without a port, for a server that is asked in process only. */
  begin(): void {
    const { scheme } = this.served;
    this.tokenObjects.start(scheme);
    this.encryption?.start();
    for (const reload of this.reloads) reload.start();
    const { clock, logger } = this.options;
    const { signal } = this.stopping;
    this.begun = untilAnswers(this.backend, { clock, logger, signal }).then((there) => {
      if (!there) return;
      this.parts.add('store');
      this.access.start(scheme);
      this.policies.start(scheme, this.access.informers);
      this.parts.add('access');
      this.fairness?.start(scheme);
      this.parts.add('fairness');
      this.server.customResources?.start();
      this.parts.add('customResources');
      this.aggregation.start(scheme);
      this.parts.add('aggregation');
      this.bootstrap.start(scheme, this.backend);
      void this.bootstrap.whenDone().then(() => this.health.establish());
    });
  }

  /** The open port; 0 without. */
  get securePort(): number {
    return this.port;
  }

  /** The token of a service account that lives in a Secret of that name: signed where the key is. */
  secretToken(account: KubeObject, secretName: string): string {
    return this.issuer.legacyToken(account, secretName);
  }

  /** What is wrong with a validating policy's expressions for the kinds that it names. */
  policyWarnings(policy: KubeObject): ExpressionWarning[] {
    return policyWarnings(policy, policyTypes(this.served.scheme));
  }

  /** A request from inside the process, as the server itself: it may do everything. */
  call(target: string, options: CallOptions = {}): Promise<CallAnswer> {
    const authorization = `Bearer ${this.loopbackToken}`;
    return this.server.call(target, { ...options, headers: { authorization, ...options.headers } });
  }

  /** Resolves when /readyz is well. @param signal rejects with its reason */
  async untilReady(signal: AbortSignal): Promise<void> {
    for (let waitMs = 1; ; waitMs = Math.min(waitMs * 2, READY_POLL_MS)) {
      signal.throwIfAborted();
      if (this.stopping.signal.aborted) throw new Error('the server was stopped');
      const answer = await this.call('/readyz');
      await answer.bytes();
      if (answer.code === 200) return;
      await pause(this.options.clock, waitMs, signal);
    }
  }

  /**
   * Stops in the original's order: /readyz fails, after --shutdown-delay-duration no connection is taken, what is
   * under way is answered, and what runs behind ends.
   *
   * @param now do not wait for what is under way
   */
  stop(now = false): Promise<void> {
    this.stopped ??= this.stopInOrder(now);
    return this.stopped;
  }

  private async stopInOrder(now: boolean): Promise<void> {
    const { shutdownDelayMs, watchGraceMs, shutdownRetryAfter, requestTimeoutMs } = this.options.config;
    this.health.shutDown();
    if (!now && shutdownDelayMs > 0) await pause(this.options.clock, shutdownDelayMs, this.stopping.signal);
    if (!now && shutdownRetryAfter) {
      // A request has its deadline; one that outlives it is not waited for.
      const late = pause(this.options.clock, requestTimeoutMs, this.stopping.signal);
      await Promise.race([this.retryAfter.drain(), late]);
    }
    this.stopping.abort();
    await this.begun;
    await this.bootstrap.stop();
    await this.access.stop();
    await this.fairness?.stop();
    this.encryption?.stop();
    for (const reload of this.reloads) reload.stop();
    await this.aggregation.stop();
    // The server closes the backend, and with it the caches.
    await this.server.stop(now ? 0 : Math.max(STOP_GRACE_MS, watchGraceMs));
    await this.debugSocket?.stop();
    await this.audit?.stop();
    await this.tracing?.stop();
    this.calls.abort();
    this.caller.close();
    this.backends.close();
  }

  // ---- parts ----

  private makeBootstrap(rbac: boolean): Bootstrap {
    const { config, credentials, clock, logger, uuid, machine } = this.options;
    const { clientCa, requestHeader, requestHeaderCa } = credentials;
    return new Bootstrap({
      clock,
      logger,
      serviceRanges: config.serviceNetworks,
      nodePorts: config.nodePorts,
      advertised: () =>
        this.port === 0 ? undefined : { address: advertisedAddress(config, machine), port: this.port },
      hostname: machine.hostname,
      instance: uuid(),
      authentication: {
        clientCA: clientCa,
        ...(requestHeader === undefined || requestHeaderCa === undefined
          ? {}
          : { requestHeader: { ...requestHeader, clientCA: requestHeaderCa } }),
      },
      rbac,
      apiServices: {
        settled: () => this.server.customResources?.settled ?? true,
        changes: () => this.aggregation.changes,
      },
      endpoints: config.keepsEndpoints,
    });
  }

  private outermost(): Filter[] {
    const { config, clock } = this.options;
    return [
      requestMetrics(this.metrics, clock),
      ...(config.shutdownRetryAfter ? [this.retryAfter.filter] : []),
      ...(config.strictTransportSecurity.length === 0
        ? []
        : [strictTransportSecurity(config.strictTransportSecurity)]),
      ...(config.corsOrigins.length === 0 ? [] : [cors(config.corsOrigins)]),
    ];
  }

  private statusFacts(): Parameters<typeof statusz>[0] {
    const { config, clock } = this.options;
    return {
      startedMs: clock.nowMs(),
      nowMs: () => clock.nowMs(),
      binaryVersion: `${API_VERSION.major}.${API_VERSION.minor}`,
      emulatedVersion: `${API_VERSION.major}.${config.spoken.emulated}`,
    };
  }

  private debugPages(): ReadonlyMap<string, Handler> {
    const { profiler, setVerbosity } = this.options;
    return profiler === undefined ? new Map() : debugPages({ profiler, setVerbosity });
  }
}

function shown(metrics: MetricsRegistry): Promise<ApiResponse> {
  const body = Buffer.from(metrics.text());
  return Promise.resolve({ kind: 'bytes', code: 200, contentType: METRICS_TYPE, body });
}
