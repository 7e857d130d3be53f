/** Help texts of `keelson ctl` and `etcdctl`, made from the table of commands in the shape of etcdctl 3.7's. */
import type { FlagSpec } from '../flags.ts';
import type { Command } from './command.ts';
import { COMMANDS, GROUPS, SECTIONS } from './commands/table.ts';
import { flagUsages } from './flag-usages.ts';

/** Names are padded at least to this. */
const NAME_WIDTH_MIN = 11;

const DESCRIPTION = 'A simple command line client for etcd3.';

const helpFlag = (of: string): FlagSpec => ({
  name: 'help',
  short: 'h',
  kind: 'bool',
  initial: 'false',
  usage: `help for ${of}`,
});

interface Entry {
  readonly name: string;
  readonly short: string;
}

function entryLines(entries: readonly Entry[], width: number): string {
  return entries.map(({ name, short }) => `  ${name.padEnd(width)} ${short}\n`).join('');
}

const widthOf = (entries: readonly Entry[]): number =>
  Math.max(NAME_WIDTH_MIN, ...entries.map(({ name }) => name.length));

/** Commands and groups as the program's own help lists them. */
function topEntries(): readonly Entry[] {
  const entries = new Map<string, string>([['help', 'Help about any command']]);
  for (const { path, short } of COMMANDS) {
    const [first = ''] = path;
    entries.set(first, path.length === 1 ? short : (GROUPS[first] ?? ''));
  }
  return [...entries].map(([name, short]) => ({ name, short })).sort((a, b) => (a.name < b.name ? -1 : 1));
}

const moreHelp = (program: string): string =>
  `\nUse "${program} [command] --help" for more information about a command.\n`;

export function programUsage(program: string): string {
  const entries = topEntries();
  const width = widthOf(entries);
  const sections = SECTIONS.map(({ title, names }) => {
    const lines = entryLines(
      entries.filter(({ name }) => names.includes(name)),
      width,
    );
    return `\n${title}\n${lines}`;
  });
  return `Usage:\n  ${program} [command]\n${sections.join('')}${moreHelp(program)}`;
}

function groupUsage(program: string, group: string): string {
  const entries = COMMANDS.filter(({ path }) => path[0] === group).map(({ path, short }) => ({
    name: path.slice(1).join(' '),
    short,
  }));
  const flags = flagUsages([helpFlag(group)]);
  const available = entryLines(entries, widthOf(entries));
  const name = `${program} ${group}`;
  return `Usage:\n  ${name} [command]\n\nAvailable Commands:\n${available}\nFlags:\n${flags}${moreHelp(name)}`;
}

/** What follows an error about the command line. */
export function commandUsage(program: string, command: Command): string {
  const name = command.path.join(' ');
  const usage = command.usage === '' ? '' : ` ${command.usage}`;
  const flags = flagUsages([...command.flags, helpFlag(command.path.at(-1) ?? name)]);
  return `Usage:\n  ${program} ${name}${usage} [flags]\n\nFlags:\n${flags}`;
}

/** Global flags have a command of their own that shows them. */
const optionsHint = (program: string): string =>
  `Use "${program} options" for a list of global command-line options (applies to all commands).\n`;

export const programHelp = (program: string): string =>
  `${DESCRIPTION}\n\n${programUsage(program)}${optionsHint(program)}`;

export const groupHelp = (program: string, group: string): string =>
  `${GROUPS[group] ?? ''}\n\n${groupUsage(program, group)}${optionsHint(program)}`;

export const commandHelp = (program: string, command: Command): string =>
  `${(command.long ?? command.short).trimEnd()}\n\n${commandUsage(program, command)}${optionsHint(program)}`;
