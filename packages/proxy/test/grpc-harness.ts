/** A grpc-proxy in the test's process, before members in the same process; and clients as bytes see them. */
import { Prng, systemClock, silentLogger, type Logger } from '@keelson/base';
import { etcdserverpb, services, type mvccpb } from '@keelson/proto';
import { Metadata, nativeChannel, type Channel, type ClientStream } from '@keelson/rpc';
import { processFacts } from '@keelson/store';
import { parseFlags } from '../src/flags.ts';
import { GRPC_PROXY_FLAGS, configOf } from '../src/grpc/flags.ts';
import { GrpcProxy } from '../src/grpc/proxy.ts';
import { serving, stopServing, type Serving } from '../../store/test/serving.ts';

export { serving, stopServing, type Serving } from '../../store/test/serving.ts';

const open: (() => Promise<void> | void)[] = [];

/** Stops all that was started here, the last first. */
export async function closeAll(): Promise<void> {
  for (const close of open.splice(0).reverse()) await close();
  await stopServing();
}

/** The client ports of a cluster's members. */
export function memberPorts({ cluster }: Serving): number[] {
  return cluster.running().map(({ clientPorts }) => clientPorts.find(({ use }) => use === 'client')!.port);
}

export async function startProxy(
  ports: readonly number[],
  flags: readonly string[] = [],
  logger: Logger = silentLogger,
): Promise<GrpcProxy> {
  const endpoints = ports.map((port) => `127.0.0.1:${port}`).join(',');
  const values = parseFlags(GRPC_PROXY_FLAGS, [
    '--listen-addr=127.0.0.1:0',
    `--endpoints=${endpoints}`,
    ...flags,
  ]);
  if (values === 'help') throw new Error('help was asked for');
  const config = configOf(values);
  if (typeof config === 'string') throw new Error(config);
  const proxy = await GrpcProxy.start(config, {
    clock: systemClock,
    logger,
    prng: new Prng(11),
    hostname: 'tester',
    facts: processFacts(),
  });
  open.push(() => proxy.stop());
  return proxy;
}

/** Members and a proxy before them. */
export async function proxied(
  members = 1,
  flags: readonly string[] = [],
): Promise<{ members: Serving; proxy: GrpcProxy; channel: Channel; direct: Channel }> {
  const started = await serving({}, members);
  const proxy = await startProxy(memberPorts(started), flags);
  return { members: started, proxy, channel: channelTo(proxy.port), direct: channelTo(started.port) };
}

export function channelTo(port: number): Channel {
  const channel = nativeChannel(`127.0.0.1:${port}`);
  open.push(() => channel.close());
  return channel;
}

/** A metric of the proxy's own. */
export function metric(proxy: GrpcProxy, name: string): number {
  const line = proxy.registry
    .text()
    .split('\n')
    .find((each) => each.startsWith(`${name} `));
  if (line === undefined) throw new Error(`no metric ${name}`);
  return Number(line.slice(name.length + 1));
}

export async function put(channel: Channel, key: string, value: string): Promise<number> {
  const request = new etcdserverpb.PutRequest({ key: Buffer.from(key), value: Buffer.from(value) });
  const { header } = await channel.unary(services.KV.methods.put, request);
  return header!.revision;
}

export async function get(
  channel: Channel,
  key: string,
  fields: Partial<etcdserverpb.RangeRequest> = {},
  metadata = new Metadata(),
): Promise<string[]> {
  const request = new etcdserverpb.RangeRequest({ key: Buffer.from(key), ...fields });
  const { kvs } = await channel.unary(services.KV.methods.range, request, { metadata });
  return kvs.map(({ key: found, value }) => `${found.toString()}=${value.toString()}`);
}

/** A watch stream that keeps what it was told. */
export class WatchClient {
  readonly stream: ClientStream<etcdserverpb.WatchRequest, etcdserverpb.WatchResponse>;
  readonly responses: etcdserverpb.WatchResponse[] = [];
  /** By watch id. */
  readonly events = new Map<bigint, mvccpb.Event[]>();
  error: string | undefined = undefined;
  over = false;
  private wake: () => void = () => {};

  constructor(channel: Channel, metadata = new Metadata()) {
    this.stream = channel.bidi(services.Watch.methods.watch, { metadata });
    this.stream.onMessage((response) => {
      this.responses.push(response);
      const known = this.events.get(response.watchId);
      if (known === undefined) this.events.set(response.watchId, [...response.events]);
      else known.push(...response.events);
      this.wake();
    });
    this.stream.onEnd((error) => {
      this.over = true;
      this.error = error?.message;
      this.wake();
    });
  }

  create(key: string, end = '', fields: Partial<etcdserverpb.WatchCreateRequest> = {}): void {
    const createRequest = new etcdserverpb.WatchCreateRequest({
      key: Buffer.from(key, 'latin1'),
      rangeEnd: Buffer.from(end, 'latin1'),
      ...fields,
    });
    this.stream.write(new etcdserverpb.WatchRequest({ createRequest }));
  }

  cancel(watchId: bigint): void {
    const cancelRequest = new etcdserverpb.WatchCancelRequest({ watchId });
    this.stream.write(new etcdserverpb.WatchRequest({ cancelRequest }));
  }

  askProgress(): void {
    const progressRequest = new etcdserverpb.WatchProgressRequest();
    this.stream.write(new etcdserverpb.WatchRequest({ progressRequest }));
  }

  /** Waits until what came is enough. */
  async until(enough: () => boolean): Promise<void> {
    while (!enough()) {
      if (this.over) throw new Error(`the stream is over: ${this.error}`);
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  async ended(): Promise<string | undefined> {
    while (!this.over)
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    return this.error;
  }

  /** Creations answered. */
  get created(): number {
    return this.responses.filter(({ created }) => created).length;
  }

  seen(id: bigint): string[] {
    return (this.events.get(id) ?? []).map(
      ({ type, kv }) =>
        `${kv!.modRevision} ${type === 0 ? 'PUT' : 'DELETE'} ${kv!.key.toString()}=${kv!.value.toString()}`,
    );
  }
}
