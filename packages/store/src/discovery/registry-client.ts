/**
 * The other etcd of --discovery-endpoints: keys are asked for and written at the first endpoint that answers, with
 * the TLS and the user that the flags name. One question at a time; nothing is kept between them but a token.
 */
import { keyFromBytes, keyToBytes } from '@keelson/base';
import { etcdserverpb, services } from '@keelson/proto';
import {
  KeyPairFiles,
  Metadata,
  nativeChannel,
  readAuthorities,
  RpcError,
  StatusCode,
  type CallOptions,
  type Channel,
  type DialTls,
} from '@keelson/rpc';
import type { ServerConfig } from '../config/flag-table.ts';
import { FatalError } from '../errors.ts';
import type { Registry, RegistryPair } from './registry.ts';

export class RegistryClient implements Registry {
  private readonly config: ServerConfig;
  private readonly channels: readonly Channel[];
  private token: string | undefined = undefined;

  /** @throws FatalError, TlsFileError for certificates that cannot be used */
  constructor(config: ServerConfig) {
    this.config = config;
    const tls = tlsOf(config);
    const skipVerify = config.discoveryInsecureSkipTlsVerify;
    this.channels = config.discoveryEndpoints.map((endpoint) => {
      // A scheme decides, as everywhere in etcd's client; TLS is for endpoints without.
      const secure =
        /^(?:https|unixs):/.test(endpoint) || (tls !== undefined && !endpoint.startsWith('http:'));
      return nativeChannel(addressOf(endpoint), {
        keepaliveIntervalMs: config.discoveryKeepaliveTimeMs,
        keepaliveTimeoutMs: config.discoveryKeepaliveTimeoutMs,
        ...(secure && { tls: tls ?? ((): ReturnType<DialTls> => ({ skipVerify })) }),
      });
    });
  }

  async list(prefix: string): Promise<readonly RegistryPair[]> {
    const end = prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
    const request = new etcdserverpb.RangeRequest({ key: keyToBytes(prefix), rangeEnd: keyToBytes(end) });
    const response = await this.ask((channel, options) =>
      channel.unary(services.KV.methods.range, request, options),
    );
    return response.kvs.map(({ key, value, createRevision }) => ({
      key: keyFromBytes(key),
      value: value.toString('utf8'),
      createRevision,
    }));
  }

  async put(key: string, value: string): Promise<void> {
    const request = new etcdserverpb.PutRequest({ key: keyToBytes(key), value: Buffer.from(value) });
    await this.ask((channel, options) => channel.unary(services.KV.methods.put, request, options));
  }

  close(): void {
    for (const channel of this.channels) channel.close();
  }

  private async ask<T>(question: (channel: Channel, options: CallOptions) => Promise<T>): Promise<T> {
    const { discoveryDialTimeoutMs, discoveryRequestTimeoutMs: timeoutMs } = this.config;
    let failure: unknown;
    for (const channel of this.channels) {
      try {
        await channel.connect(discoveryDialTimeoutMs);
        return await question(channel, { timeoutMs, ...(await this.credentials(channel)) });
      } catch (error) {
        // A token may have been forgotten by a registry that started anew.
        this.token = undefined;
        failure = error;
      }
    }
    throw failure;
  }

  private async credentials(channel: Channel): Promise<CallOptions> {
    const { discoveryUser, discoveryPassword, discoveryRequestTimeoutMs: timeoutMs } = this.config;
    if (discoveryUser === '') return {};
    if (this.token === undefined) {
      const colon = discoveryPassword === '' ? discoveryUser.indexOf(':') : -1;
      const request = new etcdserverpb.AuthenticateRequest(
        colon < 0
          ? { name: discoveryUser, password: discoveryPassword }
          : { name: discoveryUser.slice(0, colon), password: discoveryUser.slice(colon + 1) },
      );
      try {
        this.token = (await channel.unary(services.Auth.methods.authenticate, request, { timeoutMs })).token;
      } catch (error) {
        if (error instanceof RpcError && error.code === StatusCode.InvalidArgument)
          throw new FatalError(`discovery: ${error.message}`, { cause: error });
        throw error;
      }
    }
    return { metadata: Metadata.of({ token: this.token }) };
  }
}

/** As a channel takes it. */
function addressOf(endpoint: string): string {
  const socket = /^unixs?:(?:\/\/)?(.*)$/.exec(endpoint);
  if (socket !== null) return `unix:${socket[1]}`;
  return endpoint.replace(/^https?:\/\//, '').replace(/\/$/, '');
}

/** Undefined: without TLS, unless an endpoint says https. @throws FatalError, TlsFileError */
function tlsOf(config: ServerConfig): DialTls | undefined {
  const { discoveryCert, discoveryKey, discoveryCacert } = config;
  const hasPair = discoveryCert !== '' && discoveryKey !== '';
  if (!hasPair && discoveryCert + discoveryKey !== '')
    throw new FatalError(
      `KeyFile and CertFile must both be present[key: ${discoveryKey}, cert: ${discoveryCert}]`,
    );
  if (config.discoveryInsecureTransport && !hasPair && discoveryCacert === '') return undefined;
  const ca = discoveryCacert === '' ? undefined : readAuthorities(discoveryCacert);
  const pair = hasPair ? new KeyPairFiles(discoveryCert, discoveryKey) : undefined;
  // What is not there now would be asked for again and again.
  pair?.read();
  return () => ({ ca, ...pair?.read(), skipVerify: config.discoveryInsecureSkipTlsVerify });
}
