/** Help texts of `keelson ctl`, made from the table of commands in the shape of etcdctl's. */
import { describeFlags } from '../flags.ts';
import { API_VERSION, ETCD_VERSION } from '../version.ts';
import type { Command } from './command.ts';
import { COMMANDS, GROUPS } from './commands/table.ts';
import { GLOBAL_FLAGS } from './globals.ts';

const PROGRAM = 'keelson ctl';
const HELP_FLAG = { name: 'help', short: 'h', kind: 'bool', initial: 'false' } as const;

function section(title: string, body: string): string {
  const lines = body.replace(/\n+$/, '').split('\n');
  return `${title}:\n${lines.map((line) => (line === '' ? '' : `\t${line}`)).join('\n')}\n\n`;
}

/** Flags are aligned with spaces, so without the tab. */
const options = (title: string, lines: string): string => `${title}:\n${lines}\n`;

function commandLines(commands: readonly Command[], skip: number): string {
  const names = commands.map((command) => command.path.slice(skip).join(' '));
  const width = Math.max(...names.map((name) => name.length)) + 4;
  return commands.map((command, index) => (names[index] ?? '').padEnd(width) + command.short).join('\n');
}

export function programHelp(): string {
  return [
    section('NAME', `${PROGRAM} - A simple command line client for etcd3.`),
    section('USAGE', `${PROGRAM} [flags]`),
    section('VERSION', ETCD_VERSION),
    section('API VERSION', API_VERSION),
    section('COMMANDS', commandLines(COMMANDS, 0)),
    options('OPTIONS', describeFlags([...GLOBAL_FLAGS, { ...HELP_FLAG, usage: `help for ${PROGRAM}` }])),
  ].join('');
}

export function groupHelp(group: string): string {
  const commands = COMMANDS.filter((command) => command.path[0] === group);
  return [
    section('NAME', `${group} - ${GROUPS[group] ?? ''}`),
    section('USAGE', `${PROGRAM} ${group} <subcommand> [flags]`),
    section('API VERSION', API_VERSION),
    section('COMMANDS', commandLines(commands, 1)),
    options('OPTIONS', describeFlags([{ ...HELP_FLAG, usage: `help for ${group}` }])),
    options('GLOBAL OPTIONS', describeFlags(GLOBAL_FLAGS)),
  ].join('');
}

export function commandHelp(command: Command): string {
  const name = command.path.join(' ');
  const usage = command.usage === '' ? '' : ` ${command.usage}`;
  const help = { ...HELP_FLAG, usage: `help for ${command.path.at(-1) ?? name}` };
  return [
    section('NAME', `${name} - ${command.short}`),
    section('USAGE', `${PROGRAM} ${name}${usage} [flags]`),
    command.long === undefined ? '' : section('DESCRIPTION', command.long),
    options('OPTIONS', describeFlags([...command.flags, help])),
    options('GLOBAL OPTIONS', describeFlags(GLOBAL_FLAGS)),
  ].join('');
}
