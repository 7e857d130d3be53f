/**
 * Structured logging as etcd's zap writes it: one JSON object a line with level, ts, caller, msg and
 * the call's own fields. Nothing else is ever written to the log's stream.
 */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'fatal';

export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  /** Whether a line of this level would be written; ask before building costly fields. */
  enabled(level: LogLevel): boolean;
  log(level: LogLevel, message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

const ORDER: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3, fatal: 4 };

/** 2006-01-02T15:04:05.999999Z0700 in UTC, as zap's production encoder of etcd prints it. */
export function formatTimestamp(nowMs: number): string {
  return new Date(nowMs).toISOString().replace('Z', '000Z');
}

/** bigint is not JSON; zap prints ids as strings where etcd formats them and numbers elsewhere. */
function replacer(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Error) return value.message;
  return value;
}

/** JSON lines in zap's shape. `caller` names the room that logs, for example "consensus/driver". */
export class JsonLogger implements Logger {
  private readonly write: (line: string) => void;
  private readonly nowMs: () => number;
  private readonly minimum: LogLevel;
  private readonly caller: string;

  constructor(
    write: (line: string) => void,
    nowMs: () => number,
    minimum: LogLevel = 'info',
    caller = 'keelson',
  ) {
    this.write = write;
    this.nowMs = nowMs;
    this.minimum = minimum;
    this.caller = caller;
  }

  /** The same stream under another caller name. */
  named(caller: string): JsonLogger {
    return new JsonLogger(this.write, this.nowMs, this.minimum, caller);
  }

  enabled(level: LogLevel): boolean {
    return ORDER[level] >= ORDER[this.minimum];
  }

  log(level: LogLevel, message: string, fields?: LogFields): void {
    if (!this.enabled(level)) return;
    this.write(
      JSON.stringify(
        { level, ts: formatTimestamp(this.nowMs()), caller: this.caller, msg: message, ...fields },
        replacer,
      ) + '\n',
    );
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

/** Swallows everything: for embedding and tests that do not read logs. */
export const silentLogger: Logger = {
  enabled: () => false,
  log: () => {},
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
};
