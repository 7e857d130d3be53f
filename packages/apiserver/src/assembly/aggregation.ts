/** Aggregated APIs out of the flags: the certificate that this server shows to other servers, how services are reached. */

import type { Clock, Logger } from '@keelson/base';

import { Aggregation } from '../aggregation/aggregation.ts';
import type { ServerCredentials } from '../credentials/credentials.ts';
import { isLongRunning } from '../filters/long-running.ts';
import type { MetricsRegistry } from '../metrics/registry.ts';
import { trimmed } from '../openapi/remote-documents.ts';
import type { ServerConfig } from '../options/config.ts';
import type { BackendCaller } from '../outbound/backend-caller.ts';

export interface AggregationParts {
  readonly config: Pick<ServerConfig, 'aggregation' | 'requestTimeoutMs'>;
  readonly credentials: Pick<ServerCredentials, 'requestHeader' | 'frontProxy'>;
  readonly caller: BackendCaller;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly random: (limit: number) => number;
  readonly readFile: (path: string) => string;
}

/** A certificate that was renewed is shown within this time. */
const REREAD_MS = 60_000;

/** @throws Error for a certificate that cannot be read */
export function makeAggregation(parts: AggregationParts): Aggregation {
  const { config, credentials, readFile, clock, logger } = parts;
  const { frontProxy } = credentials;
  const { certFile, keyFile, toEndpoints, rejectRedirects } = config.aggregation;
  const read = (): { cert: string; key: string } => ({ cert: readFile(certFile), key: readFile(keyFile) });
  let known = certFile === '' ? undefined : { pair: read(), readMs: clock.monotonicMs() };
  return new Aggregation({
    caller: parts.caller,
    clock,
    logger,
    metrics: parts.metrics,
    random: parts.random,
    toEndpoints,
    rejectRedirects,
    requestHeader: credentials.requestHeader,
    trim: trimmed,
    timeoutMs: config.requestTimeoutMs,
    isEndless: ({ info, upgrade }) => upgrade !== undefined || isLongRunning(info),
    pair: () => {
      if (known === undefined) {
        return frontProxy && { cert: frontProxy.certificate, key: frontProxy.key };
      }
      if (clock.monotonicMs() - known.readMs >= REREAD_MS) {
        try {
          known = { pair: read(), readMs: clock.monotonicMs() };
        } catch (error) {
          // Half written, perhaps: the one that is known is good until it is read whole.
          logger.warn('the certificate for aggregated servers could not be read again', {
            error: error instanceof Error ? error.message : String(error),
          });
          known = { ...known, readMs: clock.monotonicMs() };
        }
      }
      return known.pair;
    },
  });
}
