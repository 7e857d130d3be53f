/** A member's /metrics page, read with the TLS that the command's other connections have. */
import { request as requestSecure } from 'node:https';
import { nodeHttp } from '@keelson/base';
import type { DialTls } from '@keelson/rpc';

/** Sums of samples by the metric's name, whatever their labels. */
export type Metrics = ReadonlyMap<string, number>;

const TIMEOUT_MS = 5000;
/** A page is tens of kilobytes; nothing that answers more is one. */
const PAGE_BYTES_MAX = 16_000_000;

/**
 * @param endpoint as users write it; without a scheme `tls` decides
 * @throws Error when there is no such page
 */
export async function readMetrics(endpoint: string, tls: DialTls | undefined): Promise<Metrics> {
  const scheme = /^(https?):\/\//.exec(endpoint)?.[1];
  const secure = scheme === undefined ? tls !== undefined : scheme === 'https';
  const url = `${secure ? 'https' : 'http'}://${endpoint.replace(/^https?:\/\//, '')}/metrics`;
  return parseMetrics(await fetchPage(url, secure, tls));
}

function fetchPage(url: string, secure: boolean, tls: DialTls | undefined): Promise<string> {
  const { ca, cert, key, skipVerify, serverName } = tls?.() ?? {};
  const options = {
    agent: false,
    timeout: TIMEOUT_MS,
    ...(ca === undefined ? {} : { ca: [...ca] }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(serverName === undefined ? {} : { servername: serverName }),
    rejectUnauthorized: skipVerify !== true,
  };
  return new Promise((resolve, reject) => {
    const request = (secure ? requestSecure : nodeHttp().request)(url, options, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        size += chunk.length;
        if (size > PAGE_BYTES_MAX) request.destroy(new Error(`${url} is too large`));
      });
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) resolve(Buffer.concat(chunks).toString('utf8'));
        else reject(new Error(`${url} answers ${response.statusCode}`));
      });
    });
    request.on('timeout', () => request.destroy(new Error(`${url} does not answer`)));
    request.on('error', reject);
    request.end();
  });
}

/** Of Prometheus's text format only names and values; comments and labels are passed over. */
export function parseMetrics(page: string): Metrics {
  const sums = new Map<string, number>();
  for (const line of page.split('\n')) {
    const [, name, value] = /^([a-zA-Z_:][\w:]*)(?:\{.*\})? (\S+)/.exec(line) ?? [];
    if (name === undefined || value === undefined) continue;
    sums.set(name, (sums.get(name) ?? 0) + Number(value));
  }
  return sums;
}
