/** Asks the API server whether it is ready, as its administrator, over one connection that is kept. */
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import path from 'node:path';
import type { Probe } from './probe.ts';

/**
 * @param url "https://127.0.0.1:6443"
 * @param directory where the server puts its certificates; it may be empty yet
 */
export function apiserverProbe(url: string, directory: string): Probe {
  let agent: Agent | undefined;
  const credentials = (): Agent => {
    const read = (name: string): string => readFileSync(path.join(directory, name), 'utf8');
    agent ??= new Agent({
      keepAlive: true,
      maxSockets: 1,
      ca: read('ca.crt'),
      cert: read('admin.crt'),
      key: read('admin.key'),
    });
    return agent;
  };
  return {
    healthy: (timeoutMs) =>
      new Promise((resolve) => {
        let used: Agent;
        try {
          used = credentials();
        } catch {
          // Its files are not there yet.
          resolve(false);
          return;
        }
        const asked = request(`${url}/readyz`, { agent: used, signal: AbortSignal.timeout(timeoutMs) });
        asked.on('error', () => resolve(false));
        asked.on('response', (answer) => {
          answer.resume();
          answer.on('error', () => resolve(false));
          answer.on('end', () => resolve(answer.statusCode === 200));
        });
        asked.end();
      }),
    // What a member of the store tells, an API server has not.
    status: () => Promise.resolve(undefined),
    close: () => agent?.destroy(),
  };
}
