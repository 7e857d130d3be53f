/**
 * The server command: arguments and environment in, a running member, an exit code out. Output is etcd's:
 * JSON log lines (or lines for people) on stderr (or where --log-outputs says), the version on stdout, and on a failed start one
 * line that names the cause.
 */
import { openSync, realpathSync, readFileSync, writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { JsonLogger, Prng, systemClock, toError, type LogLevel } from '@keelson/base';
import { withoutPasswords } from './config/told-words.ts';
import { parseServerConfig, type ParseResult } from './config/config.ts';
import type { ServerConfig } from './config/flag-table.ts';
import type { Environment } from './config/flags.ts';
import { unsupported } from './config/not-served.ts';
import { flagsText, usageText } from './config/usage.ts';
import { ETCD_VERSION, versionLines } from './config/version.ts';
import { checkDataDir } from './data-dir.ts';
import { isLocked } from './disk/file-lock.ts';
import { swapping } from './disk/swap.ts';
import { RemovedError } from './errors.ts';
import { listenForFailpoints } from './failpoints/control-port.ts';
import { Failpoints } from './failpoints/failpoints.ts';
import { consoleLine } from './logging/console-line.ts';
import { Journal, JOURNAL_SOCKET } from './logging/journal.ts';
import { RotatingFile } from './logging/rotating-file.ts';
import { parseRotation } from './logging/rotation.ts';
import { StoreServer } from './server.ts';
import { realWorld } from './world.ts';

/** zap's levels as ours; "panic" and "dpanic" are only ever asked for, never written. */
const LEVELS: Readonly<Record<string, LogLevel>> = {
  debug: 'debug',
  info: 'info',
  warn: 'warn',
  error: 'error',
  dpanic: 'fatal',
  panic: 'fatal',
  fatal: 'fatal',
};

/** Exit code of a process that ends itself by a signal, as a shell reports it. */
const SIGNAL_EXIT = { SIGINT: 130, SIGTERM: 143 } as const;

/**
 * Runs a member until a signal or a failure ends it.
 * @returns the exit code
 */
export async function main(argv: readonly string[], env: Environment): Promise<number> {
  const parsed = parseServerConfig(argv, env, (path) => readFileSync(path, 'utf8'));
  if (parsed.kind !== 'config') return refuse(parsed);
  const { config, warnings } = parsed;
  let logger: JsonLogger;
  try {
    logger = await loggerFor(config);
  } catch (error) {
    stderrLogger('error').error('failed to open log outputs', { error: toError(error).message });
    return 1;
  }
  for (const warning of warnings) logger.warn(warning);
  const missing = unsupported(config);
  if (missing.length > 0) {
    logger.log('fatal', `this build does not serve ${missing.join(', ')} yet: start without`);
    return 1;
  }
  if (config.memoryMlock && !staysInMemory(logger)) return 1;
  logger.info('Running: ', { args: withoutPasswords(argv), version: ETCD_VERSION });
  let failpoints: Failpoints | undefined;
  try {
    failpoints = await failpointsOf(env, logger);
  } catch (error) {
    logger.log('fatal', 'failed to start failpoints', { error: toError(error).message });
    return 1;
  }
  return serve(config, logger, failpoints, () => notifySystemd(env, logger));
}

/** Tells systemd that the member serves (sd_notify(3)), through the socket that bin/notify.pl opened; as etcd does. */
function notifySystemd(env: Environment, logger: JsonLogger): void {
  const descriptor = Number(env['KEELSON_NOTIFY_FD'] ?? '');
  if (!Number.isInteger(descriptor) || descriptor < 3) return;
  try {
    writeSync(descriptor, 'READY=1');
    logger.info('notified init daemon', { state: 'READY=1' });
  } catch (error) {
    logger.warn('failed to notify init daemon', { error: toError(error).message });
  }
}

/**
 * --memory-mlock. etcd locks the pages of its database; the runtime cannot, so where they could be swapped out the
 * start is refused. @returns whether the member may start
 */
function staysInMemory(logger: JsonLogger): boolean {
  const found = swapping((path) => {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      // Another system, or another version of it, has no such file.
      return undefined;
    }
  });
  if (found === 'impossible') {
    logger.info('memory cannot be swapped out; the files of the backend are cached as the system sees fit');
    return true;
  }
  logger.log(
    'fatal',
    '--memory-mlock: the runtime cannot lock memory, and this process may be swapped out: turn swap off, or start it ' +
      'in a control group with memory.swap.max=0 (systemd: MemorySwapMax=0)',
    { swapping: found },
  );
  return false;
}

/** Only for those who test: undefined unless the environment asks for them. @throws what keeps them from starting */
async function failpointsOf(env: Environment, logger: JsonLogger): Promise<Failpoints | undefined> {
  const { GOFAIL_HTTP: address = '', GOFAIL_FAILPOINTS: armed = '' } = env;
  if (address === '' && armed === '') return undefined;
  const prng = new Prng(Date.now());
  const failpoints = new Failpoints({
    clock: systemClock,
    uniform: () => prng.uint32() / 2 ** 32,
    die: (message) => {
      logger.log('fatal', message);
      process.kill(process.pid, 'SIGKILL');
    },
    print: (point) => logger.info('failpoint print', { failpoint: point }),
  });
  const problem = failpoints.armAll(armed);
  if (problem !== undefined) throw new Error(problem);
  if (address !== '') await listenForFailpoints(address, failpoints);
  return failpoints;
}

async function serve(
  config: ServerConfig,
  logger: JsonLogger,
  failpoints: Failpoints | undefined,
  onReady: () => void,
): Promise<number> {
  let server: StoreServer;
  try {
    const world = realWorld(config, logger, failpoints);
    const dataDir = resolve(config.dataDir);
    await checkDataDir(world.disk, dataDir, isLocked);
    const absolute = (path: string): string => (path === '' ? '' : resolve(path));
    const walDir = absolute(config.walDir);
    const prefixLimitsFile = absolute(config.prefixLimitsFile);
    server = await StoreServer.start({ ...config, dataDir, walDir, prefixLimitsFile }, world);
  } catch (error) {
    logger.log('fatal', 'failed to start', { error: toError(error).message });
    return 1;
  }
  // A broken law of ours: one line, like every other, and the end; the log brings the member back.
  process.on('uncaughtException', (error) => {
    logger.log('fatal', 'unexpected failure', { error: error.stack ?? error.message });
    process.exit(1);
  });
  const signalled = new Promise<keyof typeof SIGNAL_EXIT>((resolve) => {
    process.once('SIGTERM', () => resolve('SIGTERM'));
    process.once('SIGINT', () => resolve('SIGINT'));
  });
  if (config.prefixLimitsFile !== '' || config.auditLog !== '')
    process.on('SIGHUP', () => void server.reload());
  let ending = false;
  void server.ready().then(() => {
    if (!ending) onReady();
  });
  const end = await Promise.race([signalled, server.failed]);
  ending = true;
  if (typeof end === 'string') {
    logger.info('received signal; shutting down', { signal: end });
    await server.stop().catch((error: unknown) => {
      logger.warn('failed to stop in order', { error: toError(error).message });
    });
    logger.info('closed server', { name: config.name });
    return endBySignal(end);
  }
  if (end instanceof RemovedError) {
    // As etcd: not a failure, so that nobody starts it again and again.
    logger.warn('server error', { error: end.message });
    logger.warn('data-dir used by this member must be removed');
    await server.stop().catch(() => {});
    return 0;
  }
  logger.log('fatal', 'the member cannot go on', { error: describe(end) });
  // Nothing may be acknowledged any more; a stuck disk must not keep the process.
  const grace = new Promise<void>((resolve) => void setTimeout(resolve, 1_000));
  await Promise.race([server.stop().catch(() => {}), grace]);
  return 1;
}

/**
 * Ends the process by the signal itself, as etcd does: whoever waits for it sees that it was asked to go. As
 * process 1 the system would not let that happen; then it ends well.
 */
function endBySignal(signal: keyof typeof SIGNAL_EXIT): number {
  if (process.pid === 1) return 0;
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  return SIGNAL_EXIT[signal];
}

/** The message and what lies beneath it; a broken law of ours also says where. */
function describe(error: Error): string {
  const cause = error.cause instanceof Error ? `: ${describe(error.cause)}` : '';
  return error.name === 'FatalError' || cause !== '' ? error.message + cause : (error.stack ?? error.message);
}

function refuse(parsed: Exclude<ParseResult, { kind: 'config' }>): number {
  switch (parsed.kind) {
    case 'version':
      process.stdout.write(versionLines().join('\n') + '\n');
      return 0;
    case 'help':
      process.stderr.write(usageText());
      process.stdout.write(flagsText());
      return 0;
    case 'usage-error':
      process.stderr.write(`${parsed.message}\n${usageText()}`);
      return parsed.exitCode;
    case 'fatal':
      stderrLogger('error').error('failed to verify flags', { error: parsed.message });
      return parsed.exitCode;
  }
}

function stderrLogger(level: LogLevel): JsonLogger {
  return new JsonLogger((line) => void process.stderr.write(line), Date.now, level, 'etcdmain/etcd.go');
}

/** @throws node's errors of files that cannot be opened; Error for a rotation that says nothing, or for no journal */
async function loggerFor(config: ServerConfig): Promise<JsonLogger> {
  const journal = config.logOutputs.includes('systemd/journal') ? await openJournal() : undefined;
  const writers = config.logOutputs.map((output) => {
    if (output === 'systemd/journal')
      return (text: string, line: string) => journal?.write(text, levelOf(line));
    if (output === 'stdout') return (line: string) => void process.stdout.write(line);
    if (output === 'default' || output === 'stderr') return (line: string) => void process.stderr.write(line);
    if (config.enableLogRotation) return rotating(output, config.logRotationConfigJson);
    // Written at once: the last lines before an end are the ones that matter.
    const file = openSync(output, 'a', 0o600);
    return (line: string) => void writeSync(file, line);
  });
  const write = (line: string): void => {
    const text = config.logFormat === 'console' ? consoleLine(line) : line;
    for (const writer of writers) writer(text, line);
  };
  return new JsonLogger(write, Date.now, LEVELS[config.logLevel] ?? 'info', 'etcdserver');
}

async function openJournal(): Promise<Journal> {
  const fallback = (text: string): void => void process.stderr.write(text);
  try {
    return await Journal.open(JOURNAL_SOCKET, 'etcd', fallback, () => systemClock.monotonicMs());
  } catch (error) {
    throw new Error(`can't find journal (${toError(error).message})`, { cause: error });
  }
}

/** Of a line that the logger wrote: its level comes first. */
function levelOf(line: string): string {
  return /^\{"level":"(\w+)"/.exec(line)?.[1] ?? 'info';
}

function rotating(output: string, policyText: string): (line: string) => void {
  const policy = parseRotation(policyText);
  if (!policy.ok) throw new Error(policy.error);
  const file = new RotatingFile(output, policy.value, Date.now, (error) =>
    stderrLogger('error').error('failed to tidy old log files', { error: toError(error).message }),
  );
  return (line) => file.write(line);
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  void main(process.argv.slice(2), process.env).then((code) => process.exit(code));
}
