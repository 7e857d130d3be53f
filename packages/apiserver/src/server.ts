/**
 * An API server: joins storage, the scheme of what is served, the handlers and the port, and starts and stops them.
 * Decides nothing itself; whoever makes one says which kinds there are, who may do what, and where objects lie.
 */

import type { AddressInfo } from 'node:net';

import type { Clock, Logger } from '@keelson/base';

import { AdmissionChain } from './admission/chain.ts';
import type { Aggregation } from './aggregation/aggregation.ts';
import type { ApiRequest, Filter, Handler } from './api/exchange.ts';
import { ObjectCodec } from './codec/object-codec.ts';
import { ProtobufCodec } from './codec/protobuf.ts';
import { CustomResources } from './crd/custom-resources.ts';
import { APIEXTENSIONS, customResourceDefinitions } from './crd/definitions.ts';
import { CelRules, type RuleTimes } from './crd/cel-rules.ts';
import type { Rules } from './crd/rules.ts';
import type { ConversionCalls } from './crd/webhook-converter.ts';
import { Turns } from './flowcontrol/turns.ts';
import { Discovery } from './handlers/discovery.ts';
import { Health, LOG, PING, type HealthCheck, type HealthObserver } from './handlers/health.ts';
import type { InFlightLimits } from './filters/in-flight.ts';
import { PATCHERS } from './handlers/patch-kinds.ts';
import type { Patchers } from './handlers/patchers.ts';
import type { OpenApiStoreOptions } from './handlers/openapi-store.ts';
import type { OpenApiHandlers } from './handlers/openapi.ts';
import { pathNotFound, pathsHandler } from './handlers/paths.ts';
import { resourceCatalog } from './handlers/resource-catalog.ts';
import { resourceHandler } from './handlers/resources.ts';
import { versionFacts, versionHandler } from './handlers/version.ts';
import { Door } from './http/door.ts';
import { eventLoop } from './http/event-loop.ts';
import { callInProcess, type CallAnswer, type CallOptions } from './http/in-process.ts';
import {
  Listener,
  type GoawayDice,
  type ListenerLimits,
  type PortSharing,
  type TlsIdentity,
} from './http/listener.ts';
import { isForPeople } from './http/negotiate.ts';
import { apiPipeline } from './http/pipeline.ts';
import { HttpWire } from './http/wire.ts';
import { builtInResources } from './registry/kinds/built-in.ts';
import type { ResourceDefinition } from './registry/resource.ts';
import { Scheme } from './registry/scheme.ts';
import type { StrategyContext } from './registry/strategy.ts';
import { BUILT_IN_TYPES, type TypeTable } from './schema/type-table.ts';
import type { Storage, StorageBackend, StorageResource } from './storage/storage.ts';

/** What a scheme is made of. */
export interface SchemeParts {
  readonly backend: StorageBackend;
  readonly clock: Clock;
  /** A new random UUID (version 4). */
  readonly uuid: () => string;
  /** A random whole number, 0 ≤ n < limit; of names and of timeouts. */
  readonly random: (limit: number) => number;
  /** The kinds that are served from the start; all built-in ones unless said. */
  readonly resources?: readonly ResourceDefinition[] | ((types: TypeTable) => readonly ResourceDefinition[]);
  /** Opens a resource's storage, with a cache before it where one is wanted; the backend's own without. */
  readonly storage?: (resource: StorageResource, definition: ResourceDefinition) => Storage;
  readonly runtimeConfig?: ReadonlyMap<string, boolean>;
  /** --feature-gates, as far as kinds depend on them. */
  readonly featureGates?: ReadonlyMap<string, boolean>;
  /** --storage-media-type; protobuf unless said. */
  readonly mediaType?: 'protobuf' | 'json';
  /** Told how long rules of custom resources took. */
  readonly ruleTimes?: RuleTimes;
  /** Of the event loop; of its own unless said. */
  readonly turns?: Turns;
  /** Whether custom resources can be defined; unless said, where all built-in kinds are served. */
  readonly customResources?: boolean;
}

/** What is served, and the codec that reads and writes it: made before a server where others need it first. */
export interface ServedScheme {
  readonly scheme: Scheme;
  readonly codec: ObjectCodec;
  /** Who compiles and evaluates the rules of custom resources. */
  readonly rules: Rules;
  /** Of the event loop, for what takes long. */
  readonly turns: Turns;
}

export function makeScheme(parts: SchemeParts): ServedScheme {
  const { backend, clock, uuid, random, runtimeConfig, featureGates, mediaType } = parts;
  const types = BUILT_IN_TYPES;
  const codec = new ObjectCodec(types);
  const scheme = new Scheme({
    types,
    protobuf: new ProtobufCodec(codec.schemaProps),
    storage: parts.storage ?? ((resource) => backend.storage(resource)),
    context: (dryRun): StrategyContext => ({
      user: undefined,
      info: undefined,
      nowMs: clock.nowMs(),
      dryRun,
      uuid,
      random,
    }),
    ...(runtimeConfig === undefined ? {} : { runtimeConfig }),
    ...(featureGates === undefined ? {} : { featureGates }),
    ...(mediaType === undefined ? {} : { mediaType }),
  });
  const { resources = builtInResources } = parts;
  for (const definition of typeof resources === 'function' ? resources(types) : resources) {
    scheme.add(definition);
  }
  const rules = new CelRules(parts.ruleTimes);
  if (parts.customResources ?? parts.resources === undefined)
    scheme.add(customResourceDefinitions(types, rules));
  return { scheme, codec, rules, turns: parts.turns ?? new Turns(eventLoop) };
}

export interface ApiServerOptions extends SchemeParts {
  readonly logger: Logger;
  /** What is served, instead of what would be made of the parts. */
  readonly served?: ServedScheme;
  /** How patches other than apply are laid on; as Kubernetes unless said. */
  readonly patchers?: Patchers;
  readonly admission?: AdmissionChain;
  /** Before all others: counts, adds headers. */
  readonly outermost?: readonly Filter[];
  readonly authenticate?: Filter;
  readonly authorize?: Filter;
  /** Whether a PUT or an apply may create what is not there. @throws ApiError Forbidden */
  readonly mayCreate?: (request: ApiRequest) => Promise<void>;
  /** Behind authentication: follows requests. */
  readonly traced?: Filter;
  readonly audit?: Filter;
  readonly impersonate?: Filter;
  readonly fairness?: Filter;
  /** Without fairness. */
  readonly inFlight?: InFlightLimits;
  /** --request-timeout. */
  readonly timeoutMs?: number;
  /** Of each connection and port. */
  readonly limits?: Partial<ListenerLimits>;
  /** Which requests of HTTP/2 are the last of their connections; none without. */
  readonly goaway?: GoawayDice;
  /** What else may listen on a port; nothing without. */
  readonly sharing?: PortSharing;
  readonly healthChecks?: readonly HealthCheck[];
  /** Told what checks say; the log of failures alone, unless said. */
  readonly health?: HealthObserver;
  /** Other servers' APIs that are served as part of this one; without it there are none. */
  readonly aggregation?: Aggregation;
  /** How webhooks are called that convert custom resources; without it none is. */
  readonly conversionCalls?: ConversionCalls;
  /** Further paths: `/metrics`, `/openapi/v2`. */
  readonly paths?: ReadonlyMap<string, Handler>;
  /** Further paths that begin so, with a slash at the end. */
  readonly prefixes?: ReadonlyMap<string, Handler>;
  /** Paths that the list of all does not name; one with a slash at the end is for all that begin so. */
  readonly unlisted?: ReadonlyMap<string, Handler>;
  /** What /version tells beside its own. */
  readonly spoken?: { readonly emulated: number; readonly compatible: number };
  /** --min-request-timeout; 1800 unless said. */
  readonly watchSecondsMin?: number;
  /** What is built, for /version. */
  readonly build?: { readonly commit: string; readonly date: string; readonly platform: string };
}

/** As the original. */
const WATCH_SECONDS_MIN = 1_800;

export class ApiServer {
  readonly scheme: Scheme;
  readonly codec: ObjectCodec;
  readonly door: Door;
  /** What is defined by CustomResourceDefinitions, once it was started; undefined where they are not served. */
  readonly customResources: CustomResources | undefined;
  private readonly options: ApiServerOptions;
  private listeners: readonly Listener[] = [];
  private address = '';

  constructor(options: ApiServerOptions) {
    const { clock, logger, uuid, random } = options;
    this.options = options;
    const served = options.served ?? makeScheme(options);
    ({ scheme: this.scheme, codec: this.codec } = served);
    const { scheme } = this;
    this.customResources =
      scheme.of({ group: APIEXTENSIONS, resource: 'customresourcedefinitions' }) &&
      new CustomResources({ scheme, clock, logger, rules: served.rules, calls: options.conversionCalls });
    const { turns } = served;
    const handler = apiPipeline({
      clock,
      uuid,
      handler: this.paths(
        resourceHandler({
          scheme: this.scheme,
          wire: new HttpWire(this.codec),
          admission: options.admission ?? new AdmissionChain([]),
          patchers: options.patchers ?? PATCHERS,
          turns,
          nowMs: () => clock.nowMs(),
          setTimer: (delayMs, task) => clock.setTimer(delayMs, task),
          monotonicMs: () => clock.monotonicMs(),
          uuid,
          random,
          ...(options.mayCreate === undefined ? {} : { mayCreate: options.mayCreate }),
          watchSecondsMin: options.watchSecondsMin ?? WATCH_SECONDS_MIN,
        }),
      ),
      ...stationsOf(options),
    });
    this.door = new Door({ handler, codec: this.codec, clock, logger, turns });
  }

  /**
   * Opens a port.
   *
   * @param tls undefined: plain HTTP
   * @returns its address, the port chosen where 0 was asked for
   */
  async listen(port: number, host: string, tls?: TlsIdentity): Promise<AddressInfo> {
    const { clock, logger, limits, goaway, sharing } = this.options;
    const listener = new Listener({
      door: this.door,
      clock,
      logger,
      ...(tls === undefined ? {} : { tls }),
      ...(limits === undefined ? {} : { limits }),
      ...(goaway === undefined ? {} : { goaway }),
      ...(sharing === undefined ? {} : { sharing }),
    });
    const address = await listener.listen(port, host);
    this.listeners = [...this.listeners, listener];
    if (this.address === '') this.address = `${address.address}:${address.port}`;
    return address;
  }

  /** A request from inside the process, the whole way but for the port. */
  call(target: string, options?: CallOptions): Promise<CallAnswer> {
    return callInProcess(this.door, target, options);
  }

  /** Stops taking requests, lets those that run end within the grace, and leaves the store. */
  async stop(graceMs: number): Promise<void> {
    await Promise.all(this.listeners.map((listener) => listener.stop(graceMs)));
    this.door.cut();
    await this.customResources?.stop();
    this.options.backend.close();
  }

  private paths(resources: Handler): Handler {
    const { options } = this;
    const minors =
      options.spoken === undefined
        ? {}
        : {
            emulatedMinor: String(options.spoken.emulated),
            compatibleMinor: String(options.spoken.compatible),
          };
    const version = versionHandler(versionFacts(options.build, minors));
    const openApi = lazyOpenApi({
      scheme: this.scheme,
      clock: options.clock,
      issuer: options.paths?.has('/openid/v1/jwks') ?? false,
      ...(this.customResources === undefined ? {} : { custom: this.customResources.openApi }),
      ...(options.aggregation === undefined ? {} : { remote: options.aggregation.openApi }),
      refused: (name, { message }) => {
        options.logger.warn('an OpenAPI document of an aggregated API is left out', { name, error: message });
      },
    });
    const own = pathsHandler({
      discovery: new Discovery({
        catalog: resourceCatalog(this.scheme, options.aggregation?.catalog),
        codec: this.codec,
        serverAddress: () => this.address,
        pretty: isForPeople,
      }),
      health: new Health(
        [
          PING,
          LOG,
          { name: 'etcd', check: (signal) => this.storeIsReady(signal) },
          ...(options.healthChecks ?? []),
        ],
        options.health ?? {
          failed: (endpoint, check, reason) => {
            options.logger.warn('a health check failed', { endpoint, check, reason });
          },
        },
      ),
      exact: new Map([['/version', version], ...openApi.paths, ...(options.paths ?? [])]),
      prefixes: new Map([...openApi.prefixes, ...(options.prefixes ?? [])]),
      ...(options.unlisted === undefined ? {} : { unlisted: options.unlisted }),
      resources,
    });
    const { aggregation } = options;
    if (aggregation === undefined) return own;
    return (request) => (aggregation.handlerOf(request) ?? own)(request);
  }

  private async storeIsReady(signal: AbortSignal): Promise<string | undefined> {
    await this.options.backend.ready({ signal });
    return undefined;
  }
}

/**
 * The handlers of /openapi, loaded with the first request: their tables are much to read, and many clients never ask.
 */
function lazyOpenApi(options: OpenApiStoreOptions): OpenApiHandlers {
  let loading: Promise<OpenApiHandlers> | undefined;
  const load = async (): Promise<OpenApiHandlers> =>
    (await import('./handlers/openapi.ts')).openApiHandlers(options);
  const later = (pick: (handlers: OpenApiHandlers) => Handler | undefined): Handler => {
    return async (request) => {
      loading ??= load();
      const handler = pick(await loading);
      return handler === undefined ? pathNotFound() : handler(request);
    };
  };
  return {
    paths: new Map(
      ['/openapi/v2', '/openapi/v3'].map((path) => [path, later((handlers) => handlers.paths.get(path))]),
    ),
    prefixes: new Map(
      ['/openapi/v3/'].map((path) => [path, later((handlers) => handlers.prefixes.get(path))]),
    ),
  };
}

type Given = Pick<
  ApiServerOptions,
  | 'authenticate'
  | 'traced'
  | 'authorize'
  | 'audit'
  | 'impersonate'
  | 'fairness'
  | 'inFlight'
  | 'timeoutMs'
  | 'outermost'
>;

/** What was given of the stations on a request's way. */
function stationsOf(options: ApiServerOptions): Given {
  const { authenticate, traced, authorize, audit, impersonate, fairness, inFlight, timeoutMs, outermost } =
    options;
  return {
    ...(authenticate === undefined ? {} : { authenticate }),
    ...(traced === undefined ? {} : { traced }),
    ...(authorize === undefined ? {} : { authorize }),
    ...(audit === undefined ? {} : { audit }),
    ...(impersonate === undefined ? {} : { impersonate }),
    ...(fairness === undefined ? {} : { fairness }),
    ...(inFlight === undefined ? {} : { inFlight }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(outermost === undefined ? {} : { outermost }),
  };
}
