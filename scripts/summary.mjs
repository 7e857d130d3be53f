// Prints the closing line of a run from jest's JSON report and the number of checks that failed beside
// it; exits non-zero when anything failed or nothing ran.
import { readFileSync } from 'node:fs';

const [reportFile, otherFailures] = process.argv.slice(2);
let report;
try {
  report = JSON.parse(readFileSync(reportFile, 'utf8'));
} catch {
  report = {
    numPassedTests: 0,
    numFailedTests: 0,
    numPendingTests: 0,
    numTodoTests: 0,
    testResults: [],
    numRuntimeErrorTestSuites: 1,
  };
}
for (const file of report.testResults)
  for (const test of file.assertionResults ?? [])
    if (test.status === 'pending') process.stdout.write(`skipped: ${test.fullName}\n`);
const failed = report.numFailedTests + report.numRuntimeErrorTestSuites + Number(otherFailures);
process.stdout.write(
  `${report.numPassedTests} passed, ${failed} failed, ${report.numPendingTests + report.numTodoTests} skipped\n`,
);
process.exit(failed > 0 || report.numPassedTests === 0 ? 1 : 0);
