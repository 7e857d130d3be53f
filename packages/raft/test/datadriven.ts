/**
 * Runs data-driven conversations: every .txt file below a folder, with the runner its first command asks
 * for. As a program:
 *
 *   node packages/raft/test/datadriven.ts DIR [--rewrite]
 *
 * prints one line a file and `N passed, N failed`, with the differences of what failed before that;
 * --rewrite puts today's output into the files instead.
 */
import { readdirSync, readFileSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { confChangeHandler } from './conf-change-runner.ts';
import {
  type Directive,
  type Mismatch,
  parseDirectives,
  rewriteDirectives,
  runDirectives,
} from './datadriven-format.ts';
import { interactionHandler } from './interaction.ts';
import { quorumHandler } from './quorum-runner.ts';

type Handler = (directive: Directive) => string;

/** A fresh handler for the kind of conversation that `text` is. */
function handlerFor(text: string): Handler {
  switch (parseDirectives(text)[0]?.command) {
    case 'committed':
    case 'vote':
      return quorumHandler();
    case 'simple':
    case 'enter-joint':
    case 'leave-joint':
      return confChangeHandler();
    default:
      return interactionHandler();
  }
}

/** All .txt files at or below `path`, in name order. */
export function conversationFiles(path: string): string[] {
  if (statSync(path).isFile()) return [path];
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.txt'))
    .sort()
    .map((name) => join(path, name));
}

/** Where one file's output differs from what it expects; empty when it passes. */
export function runConversation(file: string): Mismatch[] {
  const text = readFileSync(file, 'utf8');
  return runDirectives(text, handlerFor(text));
}

function main(path: string, rewrite: boolean): number {
  let passed = 0;
  let failed = 0;
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  for (const file of conversationFiles(path)) {
    const name = relative(path, file);
    try {
      if (rewrite) {
        const text = readFileSync(file, 'utf8');
        writeFileSync(file, rewriteDirectives(text, handlerFor(text)));
      }
      const mismatches = runConversation(file);
      for (const each of mismatches) {
        print(`${name}:${each.line}: ${each.command}\nexpected:\n${each.expected}found:\n${each.actual}`);
      }
      if (mismatches.length === 0) passed++;
      else failed++;
      print(`${mismatches.length === 0 ? 'ok  ' : 'FAIL'} ${name}`);
    } catch (error) {
      failed++;
      print(`FAIL ${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
  }
  print(`${passed} passed, ${failed} failed`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

const [, program, path, flag] = process.argv;
if (program !== undefined && realpathSync(program) === fileURLToPath(import.meta.url)) {
  const usage = 'usage: datadriven.ts DIR [--rewrite]\n';
  if (path === '--help') process.stdout.write(usage);
  else if (path === undefined || path.startsWith('--') || (flag ?? '--rewrite') !== '--rewrite') {
    process.stderr.write(usage);
    process.exitCode = 2;
  } else {
    process.exitCode = main(path, flag === '--rewrite');
  }
}
