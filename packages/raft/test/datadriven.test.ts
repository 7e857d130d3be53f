import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { conversationFiles, runConversation } from './datadriven.ts';

/** Upstream's conversations and tables, beside the repository; a user's clone has none. */
const SHARED = path.resolve(import.meta.dirname, '../../../../shared/raft-testdata');
/** The project's own, in the same formats. */
const OWN = path.join(import.meta.dirname, 'testdata');

describe.each([
  ['shared', SHARED],
  ['own', OWN],
])('%s raft conversations', (name, root) => {
  if (!existsSync(root)) {
    test.skip(`${name}: ${path.basename(root)} is not beside this clone`, () => {});
    return;
  }
  test.each(conversationFiles(root).map((file) => [path.relative(root, file), file]))('%s', (_name, file) => {
    expect(runConversation(file)).toEqual([]);
  });
});
