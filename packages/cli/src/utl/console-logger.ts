/** Log lines for people, as zap's console encoder writes them: time, level, caller, message and fields, by tabs. */
import { toError, type LogFields, type Logger, type LogLevel } from '@keelson/base';
import type { Io } from '../io.ts';

const ORDER: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3, fatal: 4 };

/** Writes lines from level info on to standard error. */
export function consoleLogger(io: Io, caller: string): Logger {
  const enabled = (level: LogLevel): boolean => ORDER[level] >= ORDER.info;
  const log = (level: LogLevel, message: string, fields: LogFields = {}): void => {
    if (!enabled(level)) return;
    const time = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
    const shown = Object.entries(fields).map(([name, value]) => `${JSON.stringify(name)}: ${textOf(value)}`);
    const tail = shown.length === 0 ? '' : `\t{${shown.join(', ')}}`;
    io.err(`${time}\t${level}\t${caller}\t${message}${tail}\n`);
  };
  return {
    enabled,
    log,
    debug: (message, fields) => log('debug', message, fields),
    info: (message, fields) => log('info', message, fields),
    warn: (message, fields) => log('warn', message, fields),
    error: (message, fields) => log('error', message, fields),
  };
}

function textOf(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(textOf).join(', ')}]`;
  if (value instanceof Error) return JSON.stringify(toError(value).message);
  return typeof value === 'bigint' ? value.toString() : JSON.stringify(value);
}
