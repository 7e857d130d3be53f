/** What a shell is told that could follow, and that its script asks. */
import { spawnSync } from 'node:child_process';
import { expect, test } from '@jest/globals';
import { COMMANDS, GROUPS, OWN, SECTIONS } from './commands/table.ts';
import { SHELLS, candidates, completionScript } from './completion.ts';
import { GLOBAL_FLAGS } from './globals.ts';

const wordsFor = (...words: string[]): string[] =>
  candidates(words, COMMANDS, GROUPS, GLOBAL_FLAGS).map(({ word }) => word);

test.each<[string[], string[]]>([
  [['mem'], ['member']],
  [['m'], ['make-mirror', 'member', 'move-leader']],
  [
    ['member', ''],
    ['add', 'list', 'promote', 'remove', 'update'],
  ],
  [['--hex', 'lease', 'g'], ['grant']],
  [['get', ''], []],
  [
    ['get', '--pr'],
    ['--prefix', '--print-value-only'],
  ],
  [['get', '--endp'], ['--endpoints=']],
  [['nothing', ''], []],
])('after %j', (words, want) => {
  expect(wordsFor(...words)).toEqual(want);
});

test.each(SHELLS.map((shell) => [shell]))('the script for %s asks the program', (shell) => {
  expect(completionScript(shell, 'etcdctl')).toContain('etcdctl __complete');
  expect(completionScript(shell, 'keelson ctl')).toContain('keelson ctl __complete');
});

test('bash takes the script, and what the program answers', () => {
  const script = `
    etcdctl() { printf 'member\\tabout members\\nmove-leader\\tabout leaders\\n'; }
    ${completionScript('bash', 'etcdctl')}
    COMP_WORDS=(etcdctl m) COMP_CWORD=1
    _etcdctl_complete
    printf '%s,' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
  expect([stdout, stderr]).toEqual(['member,move-leader,', '']);
});

test('the help has a place for every command, and every place its command', () => {
  const first = new Set(COMMANDS.map(({ path }) => path[0]));
  const placed = SECTIONS.flatMap(({ names }) => names);
  expect(placed.toSorted()).toEqual([...first, 'help'].toSorted());
  expect(OWN.every((name) => first.has(name))).toBe(true);
});
