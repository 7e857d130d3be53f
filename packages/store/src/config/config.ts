/**
 * The configuration door: arguments, environment and configuration file in, one checked ServerConfig
 * or the exact way to fail out. Behaves as etcd 3.7's server command does, exit codes and texts
 * included. Pure but for the file reader it is given.
 */
import { applyConfigFile, asError } from './config-file.ts';
import { IGNORED_FLAGS, type ServerConfig, tableDefaults } from './flag-table.ts';
import { type Environment, Settings, applyEnvironment, envName, parseCommandLine } from './flags.ts';
import { goQuote } from './go-values.ts';
import { completeSettings, configProblem } from './validate.ts';

export type ParseResult =
  /** Start with this. Ask `unsupported` first. The warnings are log lines of level warn. */
  | { readonly kind: 'config'; readonly config: ServerConfig; readonly warnings: readonly string[] }
  /** Print versionLines() on stdout and exit 0. */
  | { readonly kind: 'version' }
  /** Print usageText() on stderr and flagsText() on stdout and exit 0. */
  | { readonly kind: 'help' }
  /** Print the message and usageText() on stderr, as plain text. */
  | { readonly kind: 'usage-error'; readonly message: string; readonly exitCode: number }
  /** Log the message as the error of one line "failed to verify flags". */
  | { readonly kind: 'fatal'; readonly message: string; readonly exitCode: number };

export interface ParseOptions {
  /** This machine's address on its default route; replaces localhost in default advertised URLs. */
  readonly defaultHost?: string;
}

/** etcd's other commands, which are programs of their own. */
const OTHER_COMMANDS: readonly string[] = ['gateway', 'grpc-proxy'];

function fatal(message: string, exitCode = 1): ParseResult {
  return { kind: 'fatal', message, exitCode };
}

/** Go's text of a failed open, from Node's error codes. */
function openError(path: string, error: Error): string {
  const code = (error as NodeJS.ErrnoException).code;
  const texts: Readonly<Record<string, string>> = {
    ENOENT: 'no such file or directory',
    EACCES: 'permission denied',
    EISDIR: 'is a directory',
  };
  const cause = code === undefined ? undefined : texts[code];
  return `${code === 'EISDIR' ? 'read' : 'open'} ${path}: ${cause ?? error.message}`;
}

/**
 * @param argv the arguments after the program's name
 * @param readFile returns a file's text; may throw, which becomes a fatal result
 */
export function parseServerConfig(
  argv: readonly string[],
  env: Environment,
  readFile: (path: string) => string,
  options: ParseOptions = {},
): ParseResult {
  if (argv[0] !== undefined && OTHER_COMMANDS.includes(argv[0])) {
    return fatal(`the ${argv[0]} command is not part of this build`);
  }
  const commandLine = parseCommandLine(argv);
  if (commandLine.kind === 'help') return commandLine;
  if (commandLine.kind === 'usage-error') return { ...commandLine, exitCode: 2 };
  if (commandLine.rest[0] !== undefined) return fatal(`${goQuote(commandLine.rest[0])} is not a valid flag`);
  if (commandLine.version) return { kind: 'version' };

  const warnings: string[] = [...commandLine.warnings];
  const path = commandLine.configFile || env[envName('config-file')] || '';
  const untouched = tableDefaults();
  let settings = commandLine.settings;
  if (path !== '') {
    settings = new Settings();
    let text: string;
    try {
      text = readFile(path);
    } catch (error) {
      return fatal(openError(path, asError(error)));
    }
    const problem = applyConfigFile(settings, text, warnings);
    if (problem !== undefined) return fatal(problem);
    warnings.push(
      `loaded server configuration from ${path}, other configuration command line flags and environment variables will be ignored if provided`,
    );
  } else {
    const problem = applyEnvironment(settings, env, new Set(settings.explicit), warnings);
    if (problem !== undefined) return fatal(problem);
    // The default advertised URL would be wrong for a member that listens elsewhere.
    if (settings.explicit.has('listen-client-urls') && !settings.explicit.has('advertise-client-urls')) {
      settings.values.advertiseClientUrls = [];
    }
  }
  const values = settings.values;
  const discovers =
    values.discoverySrv !== '' || values.discoverySrvName !== '' || values.discoveryEndpoints.length > 0;
  if (discovers && values.initialCluster === untouched.initialCluster) {
    if (path !== '' || !settings.explicit.has('initial-cluster')) values.initialCluster = '';
  }
  for (const name of ['max-snapshots', 'v2-deprecation']) {
    if (settings.explicit.has(name)) warnings.push(`--${name} is deprecated`);
  }
  const problem = configProblem(values);
  if (problem !== undefined) return fatal(problem.message, problem.exitCode);
  completeSettings(values, untouched, options.defaultHost, warnings);
  return { kind: 'config', config: values, warnings };
}

/** What an empty command line gives: the base for tests and embedders, who override fields. */
export function defaultServerConfig(): ServerConfig {
  const settings = new Settings();
  completeSettings(settings.values, tableDefaults(), undefined, []);
  return settings.values;
}

/** Every name the command line accepts beside the table's rows. */
export const OTHER_FLAGS: readonly string[] = ['config-file', 'version', ...IGNORED_FLAGS];
