/**
 * /health, /livez and /readyz: whether a member can do its work, in the words and with the parameters of etcd
 * (api/etcdhttp/health.go). Each check is a question to the member; nothing is remembered but counts.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { toError, type Logger } from '@keelson/base';
import { AlarmType } from '../alarm/alarms.ts';
import type { Replica } from '../consensus/replica.ts';
import type { Counter, Gauge } from '../metrics/metric.ts';
import type { Labelled } from '../metrics/registry.ts';
import { allowGet, answerError, answerText, targetOf, type HttpHandler } from './http-answer.ts';

/** What the checks ask a member. */
export type HealthSource = Pick<Replica, 'leaderId' | 'isLearner' | 'linearizable' | 'state'>;

export interface HealthCounters {
  readonly succeeded: Counter;
  readonly failed: Counter;
  /** 1 or 0 by type and name of the check. */
  readonly check: Labelled<Gauge>;
  /** By type, name and status. */
  readonly checks: Labelled<Counter>;
}

type Verdict = { readonly health: 'true' | 'false'; readonly reason: string };
type Check = () => Promise<void>;

const HEALTHY: Verdict = { health: 'true', reason: '' };
const ALARM_NAMES: Readonly<Record<number, string>> = {
  [AlarmType.NoSpace]: 'NOSPACE',
  [AlarmType.Corrupt]: 'CORRUPT',
};

/** The handlers by path. */
export function healthHandlers(
  source: HealthSource,
  counters: HealthCounters,
  logger: Logger,
): ReadonlyMap<string, HttpHandler> {
  const read = (serializable: boolean) => async (): Promise<void> => {
    if (!serializable) await source.linearizable();
    source.state.mvcc.range('', '', { limit: 1, keysOnly: true });
  };
  const corruption: Check = () => {
    const alarmed = source.state.alarms.stands(AlarmType.Corrupt);
    return alarmed ? Promise.reject(new Error('alarm activated: CORRUPT')) : Promise.resolve();
  };
  const learner: Check = () =>
    source.isLearner ? Promise.reject(new Error('not supported for learner')) : Promise.resolve();
  const handlers = new Map<string, HttpHandler>([['/health', healthHandler(source, read, counters, logger)]]);
  const checks: Readonly<Record<string, ReadonlyMap<string, Check>>> = {
    livez: new Map([['serializable_read', read(true)]]),
    readyz: new Map([
      ['data_corruption', corruption],
      ['serializable_read', read(true)],
      ['linearizable_read', read(false)],
      ['non_learner', learner],
    ]),
  };
  for (const [type, all] of Object.entries(checks)) {
    handlers.set(`/${type}`, checkHandler(`/${type}`, type, all, counters, logger));
    for (const [name, check] of all) {
      const path = `/${type}/${name}`;
      handlers.set(path, checkHandler(path, type, new Map([[name, check]]), counters, logger, true));
    }
  }
  return handlers;
}

function healthHandler(
  source: HealthSource,
  read: (serializable: boolean) => Check,
  counters: HealthCounters,
  logger: Logger,
): HttpHandler {
  const judge = async (query: URLSearchParams): Promise<Verdict> => {
    const excluded = new Set(query.getAll('exclude'));
    for (const alarm of source.state.alarms.list(AlarmType.None)) {
      const name = ALARM_NAMES[alarm.type] ?? 'UNKNOWN';
      if (!excluded.has(name)) return { health: 'false', reason: `ALARM ${name}` };
    }
    const serializable = query.get('serializable') === 'true';
    if (!serializable && source.leaderId === 0n) return { health: 'false', reason: 'RAFT NO LEADER' };
    try {
      await read(serializable)();
      return HEALTHY;
    } catch (error) {
      return { health: 'false', reason: `RANGE ERROR:${toError(error).message}` };
    }
  };
  return (request, response) => {
    if (!allowGet(request, response)) return;
    void judge(targetOf(request).query).then((verdict) => {
      const body = JSON.stringify(verdict);
      if (verdict.health === 'true') {
        counters.succeeded.add();
        answerText(response, body, 'text/plain; charset=utf-8');
      } else {
        counters.failed.add();
        logger.warn('/health error', { output: body, 'status-code': 503 });
        answerError(response, 503, body);
      }
    });
  };
}

/** @param single one check alone: nothing is excluded from it */
function checkHandler(
  path: string,
  type: string,
  checks: ReadonlyMap<string, Check>,
  counters: HealthCounters,
  logger: Logger,
  single = false,
): HttpHandler {
  const run = async (names: readonly string[]): Promise<{ lines: string; failed: boolean }> => {
    let lines = '';
    let failed = false;
    for (const name of names) {
      const error = await checks.get(name)!().then(() => undefined, toError);
      if (error !== undefined) failed = true;
      lines += error === undefined ? `[+]${name} ok\n` : `[-]${name} failed: ${error.message}\n`;
      counters.check.with(type, name).value = error === undefined ? 1 : 0;
      counters.checks.with(type, name, error === undefined ? 'success' : 'error').add();
    }
    return { lines, failed };
  };
  const answer = (query: URLSearchParams, response: ServerResponse, lines: string, failed: boolean): void => {
    if (failed) {
      logger.error('Health check error', { path, reason: lines, 'status-code': 503 });
      answerError(response, 503, lines);
      return;
    }
    const body = `${query.has('verbose') ? lines : ''}ok\n`;
    answerText(response, body, 'text/plain; charset=utf-8', { 'X-Content-Type-Options': 'nosniff' });
  };
  return (request: IncomingMessage, response) => {
    if (!allowGet(request, response)) return;
    const { query } = targetOf(request);
    const excluded = new Set(single ? [] : query.getAll('exclude').filter((name) => name !== ''));
    const names = [...checks.keys()].filter((name) => !excluded.delete(name));
    if (excluded.size > 0) {
      const missing = [...excluded].map((name) => JSON.stringify(name)).join(',');
      logger.warn('some health checks cannot be excluded', { 'missing-health-checks': missing });
    }
    void run(names).then(({ lines, failed }) => answer(query, response, lines, failed));
  };
}
