/**
 * Log lines as Kubernetes' components write them: a head of level, time, process and origin, the message in quotes and
 * the fields behind it; or one JSON object a line (--logging-format=json). Writes where it is told to, one line a call.
 *
 * Modelled on klog/v2's text output and component-base's JSON one.
 */

import type { LogFields, Logger, LogLevel } from '@keelson/base';

export interface KlogOptions {
  readonly write: (line: string) => void;
  readonly nowMs: () => number;
  readonly pid: number;
  readonly format: 'text' | 'json';
  /** -v: 4 and more writes what is for debugging; /debug/flags/v changes it. */
  readonly verbosity: number;
}

const LETTERS: Readonly<Record<LogLevel, string>> = {
  debug: 'I',
  info: 'I',
  warn: 'W',
  error: 'E',
  fatal: 'F',
};
const DEBUG_VERBOSITY = 4;

export class KlogLogger implements Logger {
  /** From now on. */
  verbosity: number;
  private readonly options: KlogOptions;

  constructor(options: KlogOptions) {
    this.options = options;
    this.verbosity = options.verbosity;
  }

  enabled(level: LogLevel): boolean {
    return level !== 'debug' || this.verbosity >= DEBUG_VERBOSITY;
  }

  log(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (!this.enabled(level)) return;
    const { write, format, nowMs, pid } = this.options;
    if (format === 'text') write(`${head(level, nowMs(), pid)} ${textOf(message, fields)}\n`);
    else write(`${JSON.stringify(jsonOf(level, nowMs(), message, fields), plain)}\n`);
  }

  debug(message: string, fields?: LogFields): void {
    this.log('debug', message, fields);
  }
  info(message: string, fields?: LogFields): void {
    this.log('info', message, fields);
  }
  warn(message: string, fields?: LogFields): void {
    this.log('warn', message, fields);
  }
  error(message: string, fields?: LogFields): void {
    this.log('error', message, fields);
  }
}

/** `I1121 15:46:51.123000    1234 apiserver:1]`, in local time as klog's. */
function head(level: LogLevel, nowMs: number, pid: number): string {
  const at = new Date(nowMs);
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${two(at.getMonth() + 1)}${two(at.getDate())}`;
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  const micros = `${String(at.getMilliseconds()).padStart(3, '0')}000`;
  return `${LETTERS[level]}${day} ${time}.${micros} ${String(pid).padStart(7)} apiserver:1]`;
}

function textOf(message: string, fields: LogFields): string {
  const pairs = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key === 'error' ? 'err' : key}=${valueText(value)}`);
  return `${JSON.stringify(message)}${pairs.join('')}`;
}

function valueText(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') {
    return String(value);
  }
  if (value instanceof Error) return JSON.stringify(value.message);
  return typeof value === 'string' ? JSON.stringify(value) : JSON.stringify(value, plain);
}

function jsonOf(level: LogLevel, nowMs: number, message: string, fields: LogFields): object {
  const { error, ...others } = fields;
  return {
    ts: nowMs,
    caller: 'apiserver:1',
    msg: message,
    ...(level === 'error' || level === 'fatal' ? {} : { v: level === 'debug' ? DEBUG_VERBOSITY : 0 }),
    ...(error === undefined ? {} : { err: error }),
    ...others,
  };
}

function plain(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  return value instanceof Error ? value.message : value;
}
