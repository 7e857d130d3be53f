/**
 * Upstream's end-to-end tests, controller manager and scheduler on our API server and store:
 *
 *   E2E_TEST=… KUBE_CONTROLLER_MANAGER=… KUBE_SCHEDULER=… npm run upstream-e2e -- [--groups apps,auth] [--focus TEXT]
 *                                                                               [--budget SECONDS] [--json FILE]
 *
 * The three programs are built from k8s.io/kubernetes of the version served (docs/conformance.md says how); nothing of them
 * is here, and without them it says so and does nothing. Prints each test that failed and a table of the groups.
 * Needs a build; `kubectl` on the path for the tests that type it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { numberOf, scriptFlags } from '../../../packages/base/test/script.ts';
import { freePorts } from '../../../packages/base/test/free-ports.ts';
import { ApiServerProcess } from '../../harness/apiserver-process.ts';
import { KEELSON_ETCD } from '../../harness/binaries.ts';
import { waitUntil } from '../../harness/waiting.ts';
import { GROUPS, type Group } from './groups.ts';
import { SmallNodes } from './small-nodes.ts';

const PROGRAMS = ['E2E_TEST', 'KUBE_CONTROLLER_MANAGER', 'KUBE_SCHEDULER'] as const;
const NODES = ['n1', 'n2', 'n3'];
const SERVICES = '10.96.0.0/16';
const DEFAULT_BUDGET_SECONDS = 3_600;
const START_MS = 120_000;

/** As Ginkgo's JSON report has them. */
interface Spec {
  readonly LeafNodeType: string;
  readonly ContainerHierarchyTexts: readonly string[] | null;
  readonly LeafNodeText: string;
  readonly State: string;
  readonly Failure?: { readonly Message?: string };
}

interface GroupResult {
  readonly group: string;
  readonly passed: number;
  readonly failed: readonly { readonly name: string; readonly cause: string }[];
  /** Skipped by the test itself: what it needs is not there. */
  readonly unmet: number;
  /** The group did not come to its end in time. */
  readonly cut: boolean;
}

class Cluster {
  private readonly home: string;
  private readonly children: ChildProcess[] = [];
  private server: ApiServerProcess | undefined;
  private nodes: SmallNodes | undefined;

  constructor(home: string) {
    this.home = home;
  }

  get kubeconfig(): string {
    return path.join(this.home, 'pki', 'admin.conf');
  }

  async start(): Promise<void> {
    const [client, peer, secure, manager, scheduler] = await freePorts(5);
    const store = `http://127.0.0.1:${client}`;
    const peerUrl = `http://127.0.0.1:${peer}`;
    this.begin('store', KEELSON_ETCD, [
      `--data-dir=${path.join(this.home, 'store')}`,
      `--listen-client-urls=${store}`,
      `--advertise-client-urls=${store}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=default=${peerUrl}`,
    ]);
    const pki = path.join(this.home, 'pki');
    this.server = new ApiServerProcess({
      name: 'apiserver',
      port: secure,
      store,
      certificates: pki,
      home: this.home,
      flags: [
        '--allow-privileged=true',
        '--enable-bootstrap-token-auth',
        `--service-cluster-ip-range=${SERVICES}`,
      ],
    });
    this.server.start();
    await this.server.ready();
    const clientFlags = ['kubeconfig', 'authentication-kubeconfig', 'authorization-kubeconfig'].map(
      (flag) => `--${flag}=${this.kubeconfig}`,
    );
    this.begin('controller-manager', program('KUBE_CONTROLLER_MANAGER'), [
      ...clientFlags,
      '--controllers=*,bootstrap-signer-controller,token-cleaner-controller',
      '--use-service-account-credentials=true',
      `--root-ca-file=${path.join(pki, 'ca.crt')}`,
      `--service-account-private-key-file=${path.join(pki, 'sa.key')}`,
      `--cluster-signing-cert-file=${path.join(pki, 'ca.crt')}`,
      `--cluster-signing-key-file=${path.join(pki, 'ca.key')}`,
      '--allocate-node-cidrs=true',
      '--cluster-cidr=10.244.0.0/16',
      `--service-cluster-ip-range=${SERVICES}`,
      `--secure-port=${manager}`,
      '--bind-address=127.0.0.1',
      `--cert-dir=${path.join(this.home, 'controller-manager')}`,
    ]);
    this.begin('scheduler', program('KUBE_SCHEDULER'), [
      ...clientFlags,
      `--secure-port=${scheduler}`,
      '--bind-address=127.0.0.1',
      `--cert-dir=${path.join(this.home, 'scheduler')}`,
    ]);
    this.nodes = new SmallNodes(this.server.url, this.server.credentials(), NODES);
    await this.nodes.start();
    await waitUntil('the scheduler answers', { timeoutMs: START_MS, everyMs: 200 }, () =>
      /leaderelection|Successfully acquired lease/.test(
        readFileSync(path.join(this.home, 'scheduler.log'), 'utf8'),
      )
        ? true
        : undefined,
    );
  }

  async stop(): Promise<void> {
    this.nodes?.stop();
    const [store, ...programs] = this.children;
    await Promise.all(programs.map((child) => ended(child)));
    await this.server?.stop();
    if (store !== undefined) await ended(store);
  }

  private begin(name: string, file: string, args: readonly string[]): void {
    const log = openSync(path.join(this.home, `${name}.log`), 'a', 0o600);
    const child = spawn(file, args, { stdio: ['ignore', log, log] });
    this.children.push(child);
    process.once('exit', () => child.kill('SIGKILL'));
  }
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGTERM');
  });
}

function program(name: (typeof PROGRAMS)[number]): string {
  return process.env[name] ?? '';
}

/** Runs one group; what it says goes to a log. */
async function run(group: Group, kubeconfig: string, home: string, budgetMs: number): Promise<GroupResult> {
  const report = path.join(home, `${group.name}.json`);
  const log = openSync(path.join(home, `${group.name}.log`), 'a', 0o600);
  const args = [
    '--provider=skeleton',
    `--kubeconfig=${kubeconfig}`,
    `--num-nodes=${NODES.length}`,
    `--ginkgo.focus=${group.focus}`,
    `--ginkgo.skip=${group.skip.join('|')}`,
    `--ginkgo.timeout=${Math.max(60, Math.floor(budgetMs / 1_000))}s`,
    `--ginkgo.json-report=${report}`,
    '--ginkgo.no-color',
    '--ginkgo.v',
    '--dump-logs-on-failure=false',
  ];
  const child = spawn(program('E2E_TEST'), args, { stdio: ['ignore', log, log], cwd: home });
  process.once('exit', () => child.kill('SIGKILL'));
  await new Promise((resolve) => child.once('exit', resolve));
  if (!existsSync(report)) throw new Error(`${group.name}: no report; ${home}/${group.name}.log says why`);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Ginkgo's own report
  const [{ SpecReports: specs }] = JSON.parse(readFileSync(report, 'utf8')) as [{ SpecReports: Spec[] }];
  const tests = specs.filter(({ LeafNodeType, State }) => LeafNodeType === 'It' || State === 'failed');
  const failed = tests.filter(({ State }) => !['passed', 'skipped', 'pending'].includes(State));
  return {
    group: group.name,
    passed: tests.filter(({ State }) => State === 'passed').length,
    failed: failed.map((spec) => ({
      name: [...(spec.ContainerHierarchyTexts ?? []), spec.LeafNodeText].join(' '),
      cause: (spec.Failure?.Message ?? spec.State).split('\n', 1)[0],
    })),
    unmet: tests.filter(({ State, Failure }) => State === 'skipped' && (Failure?.Message ?? '') !== '')
      .length,
    cut: failed.some(({ State }) => State === 'interrupted' || State === 'timedout'),
  };
}

async function main(): Promise<number> {
  const values = scriptFlags(import.meta.filename, {
    groups: { type: 'string' },
    focus: { type: 'string' },
    budget: { type: 'string', default: String(DEFAULT_BUDGET_SECONDS) },
    json: { type: 'string' },
  });
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  const missing = PROGRAMS.filter((name) => !existsSync(program(name)));
  if (missing.length > 0) {
    say(`SKIPPED: ${missing.join(', ')} must name programs of k8s.io/kubernetes (docs/conformance.md)`);
    return 0;
  }
  const wanted = values.groups?.split(',');
  const groups = GROUPS.filter(({ name }) => wanted === undefined || wanted.includes(name)).map((group) =>
    values.focus === undefined ? group : { ...group, focus: values.focus },
  );
  const until = performance.now() + numberOf('budget', values.budget) * 1_000;
  const home = mkdtempSync(path.join(tmpdir(), 'keelson-upstream-'));
  const cluster = new Cluster(home);
  const results: GroupResult[] = [];
  try {
    await cluster.start();
    for (const group of groups) {
      const result = await run(group, cluster.kubeconfig, home, until - performance.now());
      results.push(result);
      for (const { name, cause } of result.failed) say(`FAILED ${name}\n       ${cause}`);
    }
  } finally {
    await cluster.stop();
  }
  say(`${'group'.padEnd(16)}${'passed'.padStart(8)}${'failed'.padStart(8)}${'unmet'.padStart(8)}`);
  for (const { group, passed, failed, unmet, cut } of results) {
    const counts = [passed, failed.length, unmet].map((count) => String(count).padStart(8)).join('');
    say(`${group.padEnd(16)}${counts}${cut ? '  not to its end' : ''}`);
  }
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, undefined, 2)}\n`);
  const well = results.every(({ failed, cut }) => failed.length === 0 && !cut);
  if (well) rmSync(home, { recursive: true, force: true });
  else say(`logs: ${home}`);
  return well ? 0 : 1;
}

process.exitCode = await main();
