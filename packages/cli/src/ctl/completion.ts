/**
 * completion: scripts for shells that ask the program itself (`__complete`) what could follow, so that they know
 * every command and flag there is, and are never out of date.
 */
import type { FlagSpec } from '../flags.ts';

/** Of a command, what is told of it. */
export interface Completed {
  readonly path: readonly string[];
  readonly short: string;
  readonly flags: readonly FlagSpec[];
}

export interface Candidate {
  readonly word: string;
  readonly about: string;
}

/** What could stand in place of the last of `words`; none where anything may stand (keys, files). */
export function candidates(
  words: readonly string[],
  commands: readonly Completed[],
  groups: Readonly<Record<string, string>>,
  globals: readonly FlagSpec[],
): Candidate[] {
  const current = words.at(-1) ?? '';
  const before = words.slice(0, -1).filter((word) => !word.startsWith('-'));
  const inside = commands.filter((command) => before.every((word, at) => command.path[at] === word));
  if (current.startsWith('-')) {
    const exact = commands.find((command) => command.path.every((word, at) => before[at] === word));
    return [...(exact?.flags ?? []), ...globals]
      .filter((flag) => flag.hidden !== true)
      .map((flag) => ({ word: `--${flag.name}${flag.kind === 'bool' ? '' : '='}`, about: flag.usage }))
      .filter(({ word }) => word.startsWith(current));
  }
  const next = new Map<string, string>();
  for (const command of inside) {
    const word = command.path[before.length];
    if (word === undefined || !word.startsWith(current)) continue;
    const leaf = command.path.length === before.length + 1;
    next.set(word, leaf ? command.short : (groups[word] ?? ''));
  }
  return [...next].map(([word, about]) => ({ word, about })).sort((a, b) => (a.word < b.word ? -1 : 1));
}

/** Word, tab, description: a line each. */
export function candidateLines(list: readonly Candidate[]): string {
  return list.map(({ word, about }) => `${word}\t${about}\n`).join('');
}

export type Shell = 'bash' | 'zsh' | 'fish' | 'powershell';

export const SHELLS: readonly Shell[] = ['bash', 'zsh', 'fish', 'powershell'];

/**
 * @param program as it is typed; of "keelson ctl" the first word is what a shell completes
 * @returns the script to source
 */
export function completionScript(shell: Shell, program: string): string {
  const [command = program, ...words] = program.split(' ');
  const ask = [command, ...words, '__complete'].join(' ');
  const name = `_${program.replaceAll(/\W/g, '_')}_complete`;
  /** How many words of the line belong to the program's name. */
  const own = words.length + 1;
  switch (shell) {
    case 'bash':
      return `# bash completion for ${program}
${name}() {
  local IFS=$'\\n'
  COMPREPLY=($(${ask} "\${COMP_WORDS[@]:${own}:COMP_CWORD-${own - 1}}" 2>/dev/null | cut -f1))
  [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == *= ]] && compopt -o nospace
  return 0
}
complete -o default -F ${name} ${command}
`;
    case 'zsh':
      return `#compdef ${command}
# zsh completion for ${program}
${name}() {
  local -a found
  local line
  for line in "\${(@f)$(${ask} "\${(@)words[${own + 1},CURRENT]}" 2>/dev/null)}"; do
    [[ -n $line ]] && found+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  if (( \${#found} )); then _describe '${program}' found; else _files; fi
}
compdef ${name} ${command}
`;
    case 'fish':
      return `# fish completion for ${program}
function ${name}
  set -l words (commandline -opc) (commandline -ct)
  ${ask} $words[${own + 1}..-1] 2>/dev/null
end
complete -c ${command} -a '(${name})'
`;
    case 'powershell':
      return `# powershell completion for ${program}
Register-ArgumentCompleter -Native -CommandName '${command}' -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $words = @($commandAst.CommandElements | Select-Object -Skip ${own} | ForEach-Object { $_.ToString() })
  if ($wordToComplete -eq '') { $words += '""' }
  & ${ask} @words 2>$null | ForEach-Object {
    $word, $about = $_ -split "\`t", 2
    [System.Management.Automation.CompletionResult]::new($word, $word, 'ParameterValue', "$about ")
  }
}
`;
  }
}
