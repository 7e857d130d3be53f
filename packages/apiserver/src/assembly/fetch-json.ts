/** One GET of a JSON document over https, bounded in time and size, without redirects. */

import { request } from 'node:https';

const TIMEOUT_MS = 10_000;
const BYTES_MAX = 1024 * 1024;

/**
 * @param ca PEM of whom to trust; the system's authorities without
 * @throws Error for everything but an answer 200 with JSON
 */
export function fetchJson(url: string, ca: string | undefined): Promise<unknown> {
  return new Promise((resolve, reject) => {
    if (!url.startsWith('https://') || !URL.canParse(url)) {
      reject(new Error(`${JSON.stringify(url)} is no https URL`));
      return;
    }
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const asked = request(url, {
      signal,
      headers: { accept: 'application/json' },
      ...(ca === undefined ? {} : { ca }),
    });
    asked.on('error', reject);
    asked.on('response', (answer) => {
      const chunks: Buffer[] = [];
      let size = 0;
      answer.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        size += chunk.length;
        if (size > BYTES_MAX) asked.destroy(new Error(`${url} answers more than ${BYTES_MAX} bytes`));
      });
      answer.on('error', reject);
      answer.on('end', () => {
        if (answer.statusCode !== 200) {
          reject(new Error(`${url}: ${answer.statusCode}`));
          return;
        }
        try {
          resolve(JSON.parse(Buffer.concat(chunks).toString('utf8')));
        } catch (error) {
          reject(new Error(`${url} answers no JSON`, { cause: error }));
        }
      });
    });
    asked.end();
  });
}
