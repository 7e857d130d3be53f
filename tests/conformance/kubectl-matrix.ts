/**
 * Every transcript of `kubectl/` with every kubectl that is here, against our store and against a real etcd:
 *
 *   npm run kubectl-matrix -- [--versions 1.27,1.33] [--targets store,etcd] [--only create,apply] [--budget SECONDS]
 *                             [--kubeconfig FILE] [--record NAME] [--json FILE] [--steps]
 *
 * Prints a table of commands and versions, and each answer that is not as written. KUBECTL_1_35 and HELM name further
 * programs; what is not there is named as left out. `--kubeconfig` takes a server that runs; `--record` writes the answers
 * of the newest kubectl into a transcript, to be read line by line before it is kept; `--steps` names each step before it is
 * taken. Needs a build.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { numberOf, scriptFlags } from '../../packages/base/test/script.ts';
import { REFERENCE_ETCD } from '../harness/binaries.ts';
import { installedKubectls, type KubectlBinary } from '../harness/kubectl.ts';
import { apiserverMissing, startApiserverOnEtcd, startEmbedded, type ApiTarget } from './kubectl-targets.ts';
import { recorded } from './kubectl/record.ts';
import { runTranscript } from './kubectl/runner.ts';
import { Table } from './kubectl/table.ts';
import { parseTranscript } from './kubectl/transcript.ts';

const FOLDER = path.join(path.dirname(fileURLToPath(import.meta.url)), 'kubectl');
const DEFAULT_BUDGET_SECONDS = 900;

function kubectls(wanted: readonly string[] | undefined): KubectlBinary[] {
  const extra = Object.entries(process.env).flatMap(([name, file]) => {
    const minor = /^KUBECTL_1_(\d+)$/.exec(name)?.[1];
    return minor === undefined || file === undefined || !existsSync(file)
      ? []
      : [{ version: `1.${minor}`, path: file }];
  });
  const all = [...installedKubectls().filter(({ version }) => version !== 'default'), ...extra];
  return wanted === undefined ? all : all.filter(({ version }) => wanted.includes(version));
}

interface TargetKind {
  readonly missing: string | undefined;
  start(home: string): Promise<ApiTarget>;
}

function targetsOf(kubeconfig: string | undefined): Readonly<Record<string, TargetKind>> {
  if (kubeconfig !== undefined) {
    const running = { kubeconfig: readFileSync(kubeconfig, 'utf8'), stop: () => Promise.resolve() };
    return { given: { missing: undefined, start: () => Promise.resolve(running) } };
  }
  return {
    store: { missing: undefined, start: startEmbedded },
    etcd: {
      missing: REFERENCE_ETCD === undefined ? 'etcd is not installed' : apiserverMissing(),
      start: startApiserverOnEtcd,
    },
  };
}

async function main(): Promise<number> {
  const values = scriptFlags(import.meta.filename, {
    versions: { type: 'string' },
    targets: { type: 'string' },
    only: { type: 'string' },
    budget: { type: 'string', default: String(DEFAULT_BUDGET_SECONDS) },
    kubeconfig: { type: 'string' },
    record: { type: 'string' },
    json: { type: 'string' },
    steps: { type: 'boolean', default: false },
  });
  const until = performance.now() + numberOf('budget', values.budget) * 1_000;
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  const only = values.record?.split(',') ?? values.only?.split(',');
  const names = readdirSync(FOLDER)
    .filter((name) => name.endsWith('.txt'))
    .map((name) => name.slice(0, -4))
    .filter((name) => only === undefined || only.includes(name))
    .toSorted();
  const binaries = kubectls(values.versions?.split(','));
  const tried = values.record === undefined ? binaries : binaries.slice(-1);
  const { HELM } = process.env;
  const helm = HELM !== undefined && existsSync(HELM) ? HELM : undefined;
  if (helm === undefined) say('helm: left out (HELM names none)');
  let odd = 0;
  const told: object[] = [];
  for (const [name, target] of Object.entries(targetsOf(values.kubeconfig))) {
    if (values.targets !== undefined && !values.targets.split(',').includes(name)) continue;
    if (target.missing !== undefined) {
      say(`${name}: left out (${target.missing})`);
      continue;
    }
    const home = mkdtempSync(path.join(tmpdir(), 'keelson-kubectl-matrix-'));
    const table = new Table();
    const api = await target.start(home);
    try {
      for (const transcript of names) {
        for (const { version, path: file } of tried) {
          if (transcript.startsWith('helm') && (helm === undefined || version !== tried.at(-1)?.version))
            continue;
          if (performance.now() > until) {
            say(`${transcript} with ${version}: left out (the budget is spent)`);
            continue;
          }
          const source = path.join(FOLDER, `${transcript}.txt`);
          const results = await runTranscript({
            transcript: parseTranscript(readFileSync(source, 'utf8')),
            namespace: `${transcript}-${version.replace('.', '-')}`,
            folder: path.join(home, `${transcript}-${version}`),
            kubeconfig: api.kubeconfig,
            programs: { kubectl: file, ...(helm === undefined ? {} : { helm }) },
            minor: Number(version.split('.')[1]),
            ...(values.steps
              ? {
                  onStep: ({ line, command }) =>
                    say(`${name}: ${transcript}.txt:${line} with ${version}: ${command}`),
                }
              : {}),
          });
          table.add(version, results);
          if (values.record !== undefined)
            writeFileSync(
              source,
              recorded(readFileSync(source, 'utf8'), results, `${transcript}-${version.replace('.', '-')}`),
            );
          for (const { step, odd: answered, wanted } of results) {
            if (answered === undefined || values.record !== undefined) continue;
            odd += 1;
            told.push({ target: name, transcript, line: step.line, version, answered });
            say(`${name}: ${transcript}.txt:${step.line} with ${version}: $ ${step.command}`);
            say(wanted.map((line) => `  - ${line}`).join('\n'));
            say(answered.map((line) => `  + ${line}`).join('\n'));
          }
        }
      }
    } finally {
      await api.stop();
      rmSync(home, { recursive: true, force: true });
    }
    say(`\n${name}\n${table.text(tried.map(({ version }) => version))}\n`);
  }
  if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(told, undefined, 1));
  say(odd === 0 ? 'all as written' : `${odd} answers are not as written`);
  return odd === 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main();
