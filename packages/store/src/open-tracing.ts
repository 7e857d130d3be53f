/** Distributed tracing as the flags have it: the collector's channel, who this member says it is, how much is told. */
import { nativeChannel, type Channel } from '@keelson/rpc';
import type { ServerConfig } from './config/flag-table.ts';
import { ETCD_VERSION } from './config/version.ts';
import { errorMessageOf } from './disk/error-code.ts';
import { FatalError } from './errors.ts';
import type { Instruments } from './instruments.ts';
import type { Tracing } from './tracing/tracing.ts';
import type { World } from './world.ts';

/** Undefined, and not even loaded, unless it is asked for. @throws FatalError for an address that is none */
export async function openTracing(
  config: ServerConfig,
  { clock, logger, random64 }: World,
  { registry }: Instruments,
): Promise<Tracing | undefined> {
  if (!config.enableDistributedTracing) return undefined;
  const address = config.distributedTracingAddress;
  const { Tracing } = await import('./tracing/tracing.ts');
  let channel: Channel;
  try {
    channel = nativeChannel(address);
  } catch (error) {
    throw new FatalError(`--distributed-tracing-address=${address}: ${errorMessageOf(error)}`, {
      cause: error,
    });
  }
  logger.debug('distributed tracing enabled', {
    address,
    'service-name': config.distributedTracingServiceName,
    'service-instance-id': config.distributedTracingInstanceId,
    'sampling-rate': config.distributedTracingSamplingRate,
  });
  return new Tracing({
    channel,
    resource: {
      serviceName: config.distributedTracingServiceName,
      instanceId: config.distributedTracingInstanceId,
      scope: '@keelson/store',
      scopeVersion: ETCD_VERSION,
    },
    samplingRate: config.distributedTracingSamplingRate,
    clock,
    random64,
    logger,
    registry,
  });
}
