/** The examples of the main README's section on HTTP, run with curl against a member as they stand there. */
import { afterEach, expect, test } from '@jest/globals';
import { execFile, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { until } from '../../base/test/until.ts';
import { serving, stopServing } from './serving.ts';

afterEach(stopServing);

const curl = spawnSync('curl', ['--version']).status === 0 ? test : test.skip;

function examples(): { readonly command: string; readonly output: string }[] {
  const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
  const block = /## Over HTTP\n[^]*?```console\n([^]*?)```/.exec(readme)?.[1];
  if (block === undefined) throw new Error('README.md has no section on HTTP');
  return block
    .split(/^\$ /m)
    .slice(1)
    .map((each) => {
      const end = each.indexOf('\n');
      return { command: each.slice(0, end), output: each.slice(end + 1).trimEnd() };
    });
}

/** What a command says, whatever its exit code: curl's is 28 when a stream is left. */
function say(command: string): Promise<string> {
  return new Promise((resolve) => {
    execFile('sh', ['-c', command], (_error, stdout) => resolve(stdout));
  });
}

/** What it says, but for what no two clusters have in common. */
async function see(command: string): Promise<string> {
  const said = await say(command);
  return said.trimEnd().replace(/"(cluster_id|member_id|raft_term)":"\d+"/g, '"$1":"…"');
}

curl('the README says what curl sees (needs curl)', async () => {
  const { port, cluster } = await serving();
  await until(() => cluster.server(0).replica.state.membership.clusterVersion !== '', 'the cluster version');
  const all = examples();
  expect(all.length).toBeGreaterThanOrEqual(8);
  for (const { command, output } of all) {
    const here = command.replaceAll('127.0.0.1:2379', `127.0.0.1:${port}`);
    let seen = await see(here);
    // A second is enough for a stream unless the machine is busy.
    if (seen !== output) seen = await see(here.replace('--max-time 1', '--max-time 15'));
    expect([command, seen]).toEqual([command, output]);
  }
});
