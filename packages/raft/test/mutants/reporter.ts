/**
 * What jest says about a mutant, one line of JSON for each failed test, as soon as it has failed: the run may
 * be stopped then, and a later test that never ends takes nothing away. Loaded by jest in the copy.
 */
import { isAssertion } from './verdict.ts';

/** One line. */
export interface FailedTest {
  readonly how: 'assertion' | 'crash';
  readonly text: string;
  readonly message: string;
}

interface CaseResult {
  readonly status: string;
  readonly fullName: string;
  readonly failureMessages: readonly string[];
}

export default class Reporter {
  onTestCaseResult(test: { readonly path: string }, result: CaseResult): void {
    if (result.status !== 'failed') return;
    // oxlint-disable-next-line no-control-regex -- colours
    const message = result.failureMessages.join('\n').replaceAll(/\u001B\[[0-9;]*m/g, '');
    const file = test.path.slice(test.path.lastIndexOf('/') + 1);
    const how = isAssertion(message) ? 'assertion' : 'crash';
    const failed: FailedTest = { how, text: `${file}: ${result.fullName}`, message };
    process.stdout.write(`${JSON.stringify(failed)}\n`);
  }
}
