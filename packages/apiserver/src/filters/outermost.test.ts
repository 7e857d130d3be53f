/** What stands before all other filters: counting, and headers for browsers. */
import { describe, expect, test } from '@jest/globals';
import { systemClock } from '@keelson/base';

import { bareRequest } from '../../test/bare-request.ts';
import type { ApiRequest, ApiResponse, Filter } from '../api/exchange.ts';
import { ApiError } from '../api/status.ts';
import { MetricsRegistry } from '../metrics/registry.ts';
import { cors } from './cors.ts';
import { requestMetrics } from './request-metrics.ts';
import { ShutdownRetryAfter } from './shutdown-retry-after.ts';
import { strictTransportSecurity } from './strict-transport-security.ts';

function requestOf(method: string, target: string, headers: Record<string, string> = {}): ApiRequest {
  const lists = Object.entries(headers).map(([name, value]): [string, string[]] => [name, [value]]);
  return bareRequest(target, { method, headers: Object.fromEntries(lists) });
}

const OK: ApiResponse = { kind: 'json', code: 200, value: {} };
const answered = (filter: Filter, request: ApiRequest): Promise<ApiResponse> =>
  filter(request, () => Promise.resolve(OK));

describe('metrics', () => {
  const count = async (
    requests: readonly [string, string][],
    next: () => Promise<ApiResponse> = () => Promise.resolve(OK),
  ): Promise<string[]> => {
    const registry = new MetricsRegistry();
    const filter = requestMetrics(registry, systemClock);
    for (const [method, target] of requests) {
      await filter(requestOf(method, target), next).catch(() => {});
    }
    return registry
      .text()
      .split('\n')
      .filter((line) => line.startsWith('apiserver_request_total{'));
  };

  test('by what is asked for, and by path where that is known', async () => {
    expect(
      await count([
        ['GET', '/api/v1/namespaces/a/pods/b'],
        ['GET', '/api/v1/namespaces/a/pods?watch=1'],
        ['POST', '/apis/apps/v1/namespaces/a/deployments?dryRun=All'],
        ['GET', '/readyz'],
        ['GET', '/whatever'],
      ]),
    ).toEqual([
      'apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="pods",scope="resource",subresource="",verb="GET",version="v1"} 1',
      'apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="pods",scope="namespace",subresource="",verb="WATCH",version="v1"} 1',
      'apiserver_request_total{code="200",component="apiserver",dry_run="All",group="apps",resource="deployments",scope="namespace",subresource="",verb="POST",version="v1"} 1',
      'apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="",scope="",subresource="/readyz",verb="GET",version=""} 1',
      'apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="",scope="",subresource="",verb="GET",version=""} 1',
    ]);
  });

  test('events of watches, with their size', async () => {
    const registry = new MetricsRegistry();
    const filter = requestMetrics(registry, systemClock);
    for (const target of ['/apis/apps/v1/deployments?watch=1', '/apis/no/v1/things?watch=1']) {
      await filter(requestOf('GET', target), (request) => {
        if (request.info.resource === 'deployments')
          for (const size of [100, 2_000]) request.context.watched?.(size);
        return Promise.resolve(OK);
      });
    }
    await filter(requestOf('GET', '/apis/apps/v1/deployments'), (request) => {
      expect(request.context.watched).toBeUndefined();
      return Promise.resolve(OK);
    });
    const of = 'group="apps",resource="deployments",version="v1"';
    const lines = registry.text().split('\n');
    expect(lines).toContain(`apiserver_watch_events_sizes_bucket{${of},le="1024"} 1`);
    expect(lines).toContain(`apiserver_watch_events_sizes_sum{${of}} 2100`);
    expect(lines.filter((line) => line.startsWith('apiserver_watch_events_total{'))).toEqual([
      `apiserver_watch_events_total{${of}} 2`,
    ]);
  });

  test('a refusal by its code, anything else as 500', async () => {
    const refused = new ApiError({ code: 403, reason: 'Forbidden', message: 'no' });
    const [told] = await count([['GET', '/readyz']], () => Promise.reject(refused));
    expect(told).toContain('code="403"');
    const [broken] = await count([['GET', '/readyz']], () => Promise.reject(new Error('bug')));
    expect(broken).toContain('code="500"');
  });

  test('what the server gave up: a full level, a time that was up; a refusal of a handler is none', async () => {
    const registry = new MetricsRegistry();
    const filter = requestMetrics(registry, systemClock);
    const refusals: readonly (() => Promise<ApiResponse>)[] = [
      () =>
        Promise.resolve({ kind: 'bytes', code: 429, contentType: 'text/plain', body: Buffer.from('full') }),
      () => Promise.reject(new ApiError({ code: 504, reason: 'Timeout', message: 'late' })),
      () => Promise.reject(new ApiError({ code: 429, reason: 'TooManyRequests', message: 'a budget' })),
      () => Promise.resolve(OK),
    ];
    for (const next of refusals) await filter(requestOf('GET', '/readyz'), next).catch(() => {});
    const lines = registry
      .text()
      .split('\n')
      .filter((line) => line.startsWith('apiserver_request_terminations_total{'));
    expect(lines.map((line) => /code="(\d+)".* (\d)$/.exec(line)?.slice(1).join(' '))).toEqual([
      '429 1',
      '504 1',
    ]);
  });

  test('words that a client makes up are no labels (CVE-2020-8552)', async () => {
    const missing = new ApiError({ code: 404, reason: 'NotFound', message: 'no' });
    const requests = Array.from({ length: 50 }, (_none, n): [string, string] => [
      `MADE${n}`,
      `/apis/group${n}/v${n}/namespaces/a/things${n}/x/sub${n}?dryRun=no${n}`,
    ]);
    expect(await count(requests, () => Promise.reject(missing))).toEqual([
      'apiserver_request_total{code="404",component="apiserver",dry_run="invalid",group="",resource="",scope="resource",subresource="",verb="OTHER",version=""} 50',
    ]);
    const registry = new MetricsRegistry();
    const stranger = requestOf('GET', '/apis/made/v1/up');
    await requestMetrics(registry, systemClock)(stranger, () => Promise.reject(missing)).catch(() => {});
    stranger.context.sent?.(7);
    expect(registry.text()).not.toContain('made');
    const odd = requests.map(([method], n): [string, string] => [method, `/path${n}?dryRun=no${n}`]);
    expect(await count(odd)).toHaveLength(1);
  });

  test('what lasts is counted while it does; sizes and deprecated versions', async () => {
    const registry = new MetricsRegistry();
    const filter = requestMetrics(registry, systemClock);
    const lines = (name: string): string[] =>
      registry
        .text()
        .split('\n')
        .filter((line) => line.startsWith(name));
    const waiting: AsyncIterable<Buffer> = {
      [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => undefined) }),
    };
    const watch = await filter(requestOf('GET', '/api/v1/pods?watch=1'), () =>
      Promise.resolve({ kind: 'stream', code: 200, contentType: '', chunks: waiting, headers: new Map() }),
    );
    expect(lines('apiserver_longrunning_requests{')).toEqual([
      'apiserver_longrunning_requests{component="apiserver",group="",resource="pods",scope="cluster",subresource="",verb="WATCH",version="v1"} 1',
    ]);
    if (watch.kind !== 'stream') throw new Error('it was a stream');
    await watch.chunks[Symbol.asyncIterator]().return?.();
    const gone = filter(requestOf('GET', '/api/v1/pods?watch=1'), () => Promise.reject(new Error('no')));
    await expect(gone).rejects.toThrow('no');
    expect(lines('apiserver_longrunning_requests{')).toEqual([]);

    const list = requestOf('GET', '/api/v1/endpoints');
    await filter(list, (request) => {
      request.context.auditAnnotations.set('k8s.io/deprecated', 'true');
      return Promise.resolve(OK);
    });
    list.context.sent?.(2_500);
    expect(lines('apiserver_response_sizes_sum')).toEqual([
      'apiserver_response_sizes_sum{component="apiserver",group="",resource="endpoints",scope="cluster",subresource="",verb="LIST",version="v1"} 2500',
    ]);
    expect(lines('apiserver_requested_deprecated_apis')).toEqual([
      'apiserver_requested_deprecated_apis{group="",removed_release="",resource="endpoints",subresource="",version="v1"} 1',
    ]);
  });
});

test('Strict-Transport-Security on every answer', async () => {
  const filter = strictTransportSecurity(['max-age=31536000', 'includeSubDomains']);
  const { headers } = await answered(filter, requestOf('GET', '/readyz'));
  expect(headers?.get('strict-transport-security')).toEqual(['max-age=31536000; includeSubDomains']);
});

describe('pages of other origins', () => {
  const filter = cors(['//www\\.example\\.com(:|$)']);
  test.each<[string, string, string | undefined]>([
    ['an origin that is allowed', 'https://www.example.com', 'https://www.example.com'],
    ['another', 'https://evil.example', undefined],
    ['none', '', undefined],
    ['one that is too long', `https://www.example.com:${'9'.repeat(600)}`, undefined],
  ])('%s', async (_name, origin, allowed) => {
    const request = requestOf('GET', '/api', origin === '' ? {} : { origin });
    const { code, headers } = await answered(filter, request);
    expect(code).toBe(200);
    expect(headers?.get('access-control-allow-origin')?.[0]).toBe(allowed);
  });

  test('a preflight is answered here', async () => {
    const request = requestOf('OPTIONS', '/api', { origin: 'https://www.example.com' });
    const answer = await filter(request, () => Promise.reject(new Error('asked')));
    expect(answer.code).toBe(204);
    expect(answer.headers?.get('access-control-allow-methods')?.[0]).toContain('PATCH');
  });
});

describe('a server that stops and says when to come again', () => {
  test('answers what is under way, and 429 to the rest', async () => {
    const stopping = new ShutdownRetryAfter();
    let answer: (response: ApiResponse) => void = () => undefined;
    const slow = stopping.filter(
      requestOf('GET', '/api/v1/pods'),
      () =>
        new Promise((resolve) => {
          answer = resolve;
        }),
    );
    // A watch is not waited for.
    void stopping.filter(
      requestOf('GET', '/api/v1/pods?watch=1'),
      () => new Promise<ApiResponse>(() => undefined),
    );
    let drained = false;
    const drain = stopping.drain().then(() => {
      drained = true;
    });
    const refused = await answered(stopping.filter, requestOf('GET', '/api/v1/pods'));
    expect(refused).toMatchObject({ code: 429, contentType: 'text/plain; charset=utf-8' });
    expect(refused.kind !== 'switch' && refused.headers?.get('retry-after')).toEqual(['5']);
    expect(await answered(stopping.filter, requestOf('GET', '/readyz/etcd'))).toBe(OK);
    const own = { 'user-agent': 'kube-apiserver/v1.36' };
    expect(await answered(stopping.filter, requestOf('GET', '/api/v1/pods', own))).toBe(OK);
    expect(drained).toBe(false);
    answer(OK);
    expect(await slow).toBe(OK);
    await drain;
  });
});
