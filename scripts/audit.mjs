// Known holes in what we depend on: asks the registry by `pnpm audit`, for what is installed with the product. Where the
// registry does not answer (a mirror without advisories, no network) it says so in a line that nobody overlooks, and is
// no failure: whether a build is sound must not depend on somebody else's server. A hole of high severity is one.
import { spawnSync } from 'node:child_process';

const PNPM = 'pnpm@12.21.0';
const TIMEOUT_MS = 60_000;

const { stdout, stderr, error } = spawnSync('npx', ['-y', PNPM, 'audit', '--json', '--prod'], {
  encoding: 'utf8',
  timeout: TIMEOUT_MS,
  maxBuffer: 64 * 1024 * 1024,
});

const say = (line) => process.stdout.write(`${line}\n`);

/** The report, or undefined when what came is none. */
function reportOf(text) {
  try {
    const report = JSON.parse(text);
    return report.metadata?.vulnerabilities === undefined ? undefined : report;
  } catch {
    return undefined;
  }
}

const report = reportOf(stdout ?? '');
if (report === undefined) {
  const said = `${stdout ?? ''}${stderr ?? ''}`;
  const why = error?.message ?? /responded with \d+/.exec(said)?.[0] ?? said.trim().split('\n').at(-1) ?? '';
  say(`SKIPPED dependency audit: the registry does not tell of advisories (${why.slice(0, 120)})`);
} else {
  const { low = 0, moderate = 0, high = 0, critical = 0 } = report.metadata.vulnerabilities;
  say(`dependency audit: ${critical} critical, ${high} high, ${moderate} moderate, ${low} low`);
  for (const { module_name: name, severity, title, url } of Object.values(report.advisories ?? {}))
    say(`  ${severity}: ${name}: ${title} (${url})`);
  if (high + critical > 0) process.exitCode = 1;
}
