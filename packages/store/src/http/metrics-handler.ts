/**
 * GET /metrics as Prometheus' Go library serves it: text 0.0.4 whatever was asked for (etcd leaves OpenMetrics
 * off), gzip where the scraper takes it, and counts of itself.
 */
import { gzipSync } from 'node:zlib';
import { toError } from '@keelson/base';
import { TEXT_FORMAT } from '../metrics/exposition.ts';
import type { Registry } from '../metrics/registry.ts';
import { answerError, type HttpHandler } from './http-answer.ts';

/** @param beforeScrape measures what the registry only looks at; its failure is that of the scrape */
export function metricsHandler(registry: Registry, beforeScrape: () => Promise<void>): HttpHandler {
  const inFlight = registry.gauge('promhttp_metric_handler_requests_in_flight', 'Scrapes being served now.');
  const requests = registry.counters(
    'promhttp_metric_handler_requests_total',
    'Scrapes by HTTP status code.',
    ['code'],
  );
  for (const code of ['200', '500', '503']) requests.with(code);
  const answer: HttpHandler = (request, response) => {
    const text = registry.text();
    const zipped = acceptsGzip(request.headers['accept-encoding']);
    const body = zipped ? gzipSync(text, { level: 1 }) : Buffer.from(text, 'utf8');
    response.writeHead(200, {
      'Content-Type': TEXT_FORMAT,
      ...(zipped && { 'Content-Encoding': 'gzip' }),
      'Content-Length': body.length,
    });
    response.end(body);
    requests.with('200').add();
  };
  return (request, response) => {
    inFlight.add();
    beforeScrape()
      .then(
        () => answer(request, response),
        (error: unknown) => {
          requests.with('500').add();
          answerError(
            response,
            500,
            `An error has occurred while serving metrics:\n\n${toError(error).message}`,
          );
        },
      )
      .finally(() => inFlight.add(-1));
  };
}

function acceptsGzip(header: string | string[] | undefined): boolean {
  return String(header ?? '')
    .split(',')
    .some((part) => /^\s*gzip\s*(;\s*q=(?!0(\.0*)?\s*$).*)?$/i.test(part));
}
