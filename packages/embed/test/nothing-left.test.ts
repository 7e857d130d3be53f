/** After `stop` a process is as it was: no timer, no socket, no file, and no memory that a control plane had. */
import { expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const DOOR = path.resolve(import.meta.dirname, '../dist/index.js');

/** Run by itself: a test runner has timers, files and caches of its own. */
const PROGRAM = `
import { readdirSync, readlinkSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { startControlPlane } from ${JSON.stringify(pathToFileURL(DOOR).href)};

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');
const open = () => readdirSync('/proc/self/fd').flatMap((fd) => {
  try { return [readlinkSync('/proc/self/fd/' + fd).replace(/\\d+/g, 'N')]; } catch { return []; }
}).sort();
async function once() {
  const plane = await startControlPlane();
  await (await plane.call('/openapi/v2')).bytes();
  const seen = new WeakRef(plane);
  await plane.stop();
  return seen;
}
await (await once());
const before = open();
const seen = [await once(), await once()];
let left = seen.length;
// What is collected is collected in turns of its own; what is held by something never is.
for (let turns = 0; left > 0 && turns < 100; turns += 1) {
  await new Promise((resolve) => setTimeout(resolve, 20));
  collect();
  left = seen.filter((one) => one.deref() !== undefined).length;
}
console.log(JSON.stringify({
  left,
  files: open().filter((name, at, all) => all.filter((each) => each === name).length > before.filter((each) => each === name).length),
  // Its own output is one.
  resources: process.getActiveResourcesInfo().filter((name) => name !== 'PipeWrap'),
}));
`;

(existsSync(DOOR) ? test : test.skip)(
  'nothing is left of three control planes (skipped where it is not built)',
  () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', PROGRAM], {
      encoding: 'utf8',
      timeout: 120_000,
    });
    expect([status, stderr]).toEqual([0, '']);
    expect(JSON.parse(stdout)).toEqual({ left: 0, files: [], resources: [] });
  },
);
