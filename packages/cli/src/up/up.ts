/**
 * `keelson up`: a cluster on this machine, one process a member and one for the API server, until Ctrl-C or SIGTERM. This file joins
 * options, ports, data directory, supervisor and view; each of them is a room of its own.
 */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock, type Clock } from '@keelson/base';
import type { Io } from '../io.ts';
import { apiserverProbe } from './apiserver-probe.ts';
import { upCertificates, type UpCertificates } from './certificates.ts';
import { DataDir, requestRestart, withdrawRestart } from './data-dir.ts';
import { describeExit, shellCommand, type Member, type MemberSpec } from './member.ts';
import { parseUpOptions, upHelp, type UpOptions } from './options.ts';
import { planApiserver, planMembers, programCommand } from './plan.ts';
import { apiserverPort, checkPortsFree, memberPorts } from './ports.ts';
import { clientProbe, type Probe, type ProbeFactory } from './probe.ts';
import { LiveBlock, changeLines, leaderOf, statusLines } from './status-view.ts';
import { StopRequest } from './stop-request.ts';
import { Supervisor, type MemberReport } from './supervisor.ts';
import { UpError } from './up-error.ts';

const REFRESH_MS = 1000;

/** What tests replace. */
export interface UpParts {
  readonly clock: Clock;
  readonly probes: ProbeFactory;
  /** A member's program, before its flags. */
  readonly program: readonly string[];
  /** The API server's. */
  readonly apiserverProgram: readonly string[];
  /** How this command is called from here: a line that is told can be pasted. */
  readonly command: string;
  /** @param directory with its certificates */
  readonly apiserverProbe: (url: string, directory: string) => Probe;
}

const BIN = new URL('../../../../bin/keelson', import.meta.url);
const BUNDLES = new URL('../../../../dist/', import.meta.url);

function realParts(): UpParts {
  const script = fileURLToPath(new URL('main.js', import.meta.resolve('@keelson/store')));
  const own = fileURLToPath(new URL('../main.js', import.meta.url));
  const bundle = fileURLToPath(new URL('keelson/main.js', BUNDLES));
  // What was started from a bundle (bin/runtime.sh) starts the others from those made with it.
  const bundled = process.argv[1] === bundle;
  const member = bundled ? fileURLToPath(new URL('etcd/main.js', BUNDLES)) : script;
  return {
    clock: systemClock,
    probes: clientProbe,
    program: programCommand(member),
    apiserverProgram: [...programCommand(bundled ? bundle : own), 'apiserver'],
    command: calledFrom(process.cwd(), fileURLToPath(BIN)),
    apiserverProbe,
  };
}

/** A path as one types it: below the directory one is in by its way from there. */
function calledFrom(directory: string, file: string): string {
  const way = path.relative(directory, file);
  return way.startsWith('..') ? file : way;
}

/** @param argv what follows `keelson up`. @returns the exit code */
export async function runUp(argv: readonly string[], io: Io, parts?: UpParts): Promise<number> {
  try {
    const options = parseUpOptions(argv);
    if (options === undefined) {
      io.out(upHelp());
      return 0;
    }
    if (options.restart !== undefined) {
      return await restartMember(options.dataDir, options.restart, io, parts?.clock ?? systemClock);
    }
    return await new Up(options, io, parts ?? realParts()).run();
  } catch (error) {
    if (!(error instanceof UpError)) throw error;
    io.err(`keelson up: ${error.message}\n`);
    return 1;
  }
}

/** A run looks for requests every second. */
const RESTART_WAIT_MS = 10_000;
/** From the process to what it serves: a store may have to read its log, and wants a quorum. */
const SERVES_WAIT_MS = 60_000;
const RESTART_POLL_MS = 50;

/** `keelson up --restart m2`. @throws UpError when nobody starts it, or it does not serve */
async function restartMember(directory: string, name: string, io: Io, clock: Clock): Promise<number> {
  const ask = requestRestart(directory, name);
  let endMs = clock.monotonicMs() + RESTART_WAIT_MS;
  let running: number | undefined;
  for (;;) {
    const { heard, pid, serves } = ask();
    if (pid !== undefined && serves) {
      io.out(`${name} started again (pid ${pid})\n`);
      return 0;
    }
    if (running === undefined && pid !== undefined) {
      running = pid;
      endMs = clock.monotonicMs() + SERVES_WAIT_MS;
    }
    const late = clock.monotonicMs() > endMs;
    const log = `see ${directory}/${name}.log`;
    // It may have been too short to be seen.
    if (pid === undefined && (running !== undefined || (late && heard)))
      throw new UpError(`${name} was started, and ended: ${log}`);
    if (late) {
      withdrawRestart(directory, name);
      throw new UpError(
        running === undefined
          ? `${name} was not started: does keelson up still run on ${directory}?`
          : `${name} runs (pid ${running}), but does not serve yet: ${log}`,
      );
    }
    await new Promise<void>((resolve) => void clock.setTimer(RESTART_POLL_MS, resolve));
  }
}

class Up {
  private readonly options: UpOptions;
  private readonly io: Io;
  private readonly parts: UpParts;
  private readonly block: LiveBlock;
  private readonly stop = new StopRequest();
  private supervisor: Supervisor | undefined = undefined;
  private certificates: UpCertificates | undefined = undefined;
  private directory = '';
  private ready = false;
  /** Started again, and not serving yet. */
  private readonly starting = new Set<Member>();
  private reports: readonly MemberReport[] = [];

  constructor(options: UpOptions, io: Io, parts: UpParts) {
    this.options = options;
    this.io = io;
    this.parts = parts;
    this.block = new LiveBlock(
      (text) => io.out(text),
      () => io.columns(),
    );
  }

  /** @throws UpError when it cannot start */
  async run(): Promise<number> {
    const { nodes, basePort, dataDir, ephemeral, tls, apiserver } = this.options;
    const startMs = this.parts.clock.monotonicMs();
    const unsubscribe = this.io.onStop(() => this.requestStop());
    const ports = memberPorts(nodes, basePort);
    const frontPorts = apiserver ? [apiserverPort(basePort)] : [];
    const directory = ephemeral ? DataDir.temporary() : DataDir.open(dataDir, ports, tls);
    let keep = false;
    try {
      await checkPortsFree(ports, frontPorts);
      if (this.stop.count > 0) return 0;
      directory.mark(ports, tls);
      if (tls) this.certificates = await upCertificates(directory.path, this.parts.clock.nowMs());
      const members = planMembers(this.parts.program, ports, directory, this.certificates);
      const fronts = frontPorts.map((port) =>
        planApiserver(this.parts.apiserverProgram, port, directory, members, this.certificates),
      );
      const supervisor = this.supervise([...members, ...fronts], directory);
      // Members outlive this process unless they are told not to.
      const unsubscribeExit = this.io.onExit(() => supervisor.kill());
      try {
        await this.stop.or(supervisor.start());
        if (this.stop.count > 0) return 0;
        this.ready = true;
        if (apiserver) directory.writeKubeconfig();
        this.writeUpFile(directory);
        return await this.attend(supervisor, startMs, directory);
      } catch (error) {
        keep = error instanceof UpError;
        throw error;
      } finally {
        directory.removeUpFile();
        await supervisor.stop();
        unsubscribeExit();
      }
    } finally {
      directory.close(keep);
      unsubscribe();
    }
  }

  private supervise(specs: readonly MemberSpec[], directory: DataDir): Supervisor {
    const { clock, probes, apiserverProbe: probeApi } = this.parts;
    const dial = this.certificates?.dial;
    const probe = ({ kind, clientUrl }: MemberSpec): Probe =>
      kind === 'store' ? probes(clientUrl, dial) : probeApi(clientUrl, directory.apiserverDir);
    const supervisor = new Supervisor(specs, this.io.env, probe, clock, {
      exited: (member) => {
        this.reportExit(member);
        this.writeUpFile(directory);
      },
      waitingFor: (members) => {
        const names = members.map((member) => `${member.name} (see ${member.spec.logFile})`).join(', ');
        this.say(`still waiting for ${names}`);
      },
      killed: (member) => this.say(`${member.name} did not stop within 5 s and was killed`),
    });
    this.supervisor = supervisor;
    this.onRestart = (names) => {
      for (const member of supervisor.restartEnded(names)) {
        this.say(`${member.name} started again (pid ${member.pid})`);
        const { pid } = member;
        this.starting.add(member);
        void supervisor.serves(member).then((serves) => {
          if (serves || member.pid !== pid) this.starting.delete(member);
          if (serves) this.writeUpFile(directory);
        });
      }
      this.writeUpFile(directory);
    };
    return supervisor;
  }

  private onRestart: (names?: readonly string[]) => void = () => {};

  /** From ready to the end. @returns the exit code */
  private async attend(supervisor: Supervisor, startMs: number, directory: DataDir): Promise<number> {
    this.directory = directory.path;
    this.reports = await supervisor.report(REFRESH_MS);
    const seconds = ((this.parts.clock.monotonicMs() - startMs) / 1000).toFixed(2);
    this.io.out(this.announcement(supervisor, seconds, directory));
    const releaseKeys = this.io.terminal ? this.readKeys() : () => {};
    try {
      if (this.io.terminal) this.draw();
      for (;;) {
        const before = this.reports;
        const asked = supervisor.report(REFRESH_MS);
        if (await this.pauseOrStop(REFRESH_MS)) break;
        const asking = directory.takeRestarts();
        if (asking.length > 0) this.onRestart(asking);
        this.reports = (await this.stop.or(asked)) ?? before;
        if (this.io.terminal) this.draw();
        else for (const line of changeLines(before, this.reports)) this.say(line);
        if (!this.io.terminal && noneRuns(supervisor)) {
          throw new UpError('no member is running any more');
        }
      }
    } finally {
      releaseKeys();
    }
    if (this.io.terminal) this.block.draw([]);
    this.say('stopping …');
    return 0;
  }

  private announcement(supervisor: Supervisor, seconds: string, directory: DataDir): string {
    const stores = storesOf(supervisor);
    const leader = leaderOf(this.reports)?.member.name;
    const width = Math.max(...supervisor.members.map((member) => member.spec.clientUrl.length));
    const nameWidth = Math.max(...supervisor.members.map(({ name }) => name.length));
    const lines = supervisor.members.map(
      ({ name, spec, pid }) =>
        `  ${name.padEnd(nameWidth)}  ${spec.clientUrl.padEnd(width)}  pid ${pid}  ${spec.logFile}\n`,
    );
    const { apiserver } = this.options;
    const front = apiserver ? ' and the API server' : '';
    const count = `${stores.length} member${stores.length === 1 ? '' : 's'}${front}`;
    const leads = leader === undefined ? '' : `, ${leader} leads`;
    const endpoints = stores.map(({ spec }) => spec.clientUrl.replace(/^https?:\/\//, '')).join(',');
    const forKubectl = apiserver ? `export KUBECONFIG=${directory.kubeconfigFile}\n` : '';
    const files = Object.entries(this.clientFiles() ?? {});
    const exports = files.map(([name, file]) => `export ETCDCTL_${name.toUpperCase()}=${file}\n`).join('');
    return `keelson up: ${count} ready in ${seconds} s${leads}\n${lines.join('')}${exports}export ETCDCTL_ENDPOINTS=${endpoints}\n${forKubectl}`;
  }

  private reportExit(member: Member): void {
    const { exit, spec } = member;
    if (exit === undefined) return;
    const again = this.againText(member);
    const { grave } = member.lastWords();
    const words = grave === undefined ? '' : ` (${grave})`;
    this.say(`${member.name} ${describeExit(exit)}${words}, see ${spec.logFile}${again}`);
  }

  /** How to start it again; a run without a terminal ends with its last member. */
  private againText({ name }: Member): string {
    if (this.io.terminal) return '; press r to start it again';
    if (this.supervisor !== undefined && noneRuns(this.supervisor)) return '';
    const command = [this.parts.command, 'up', '--restart', name, '--data-dir', this.directory];
    return `; start it again with: ${shellCommand(command)}`;
  }

  private writeUpFile(directory: DataDir): void {
    const { supervisor } = this;
    if (supervisor === undefined || !this.ready || this.stop.count > 0) return;
    const pids: Record<string, number> = {};
    for (const { name, pid } of supervisor.members) if (pid !== undefined) pids[name] = pid;
    const tls = this.clientFiles();
    const clients = storesOf(supervisor).map(({ spec }) => spec.clientUrl);
    const front = supervisor.members.find(({ spec }) => spec.kind === 'apiserver');
    const starting = [...this.starting].map(({ name }) => name);
    directory.writeUpFile({
      clients,
      ...(front === undefined ? {} : { apiserver: front.spec.clientUrl }),
      ...(tls === undefined ? {} : { tls }),
      pids,
      ...(starting.length === 0 ? {} : { starting }),
    });
  }

  /** What who connects needs, by the names of etcdctl's flags. */
  private clientFiles(): { cacert: string; cert: string; key: string } | undefined {
    const { certificates } = this;
    return certificates === undefined ? undefined : { cacert: certificates.caFile, ...certificates.client };
  }

  /** The first request stops members in order, the second at once. */
  private requestStop(): void {
    this.stop.ask();
    if (this.stop.count > 1) this.supervisor?.kill();
  }

  /** @returns whether it is time to stop */
  private async pauseOrStop(ms: number): Promise<boolean> {
    let wake: () => void = () => {};
    const passed = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const timer = this.parts.clock.setTimer(ms, wake);
    await this.stop.or(passed);
    timer.cancel();
    return this.stop.count > 0;
  }

  private draw(): void {
    const ended = this.supervisor?.members.some((member) => member.exit !== undefined) === true;
    const keys = ended ? 'r: start ended members again   Ctrl-C: stop' : 'Ctrl-C: stop';
    this.block.draw(['', ...statusLines(this.reports), keys]);
  }

  private say(line: string): void {
    if (this.io.terminal) this.block.say(line);
    else this.io.out(`${line}\n`);
  }

  /** Keys come one by one, so Ctrl-C does too. @returns a function that gives the terminal back */
  private readKeys(): () => void {
    const { stdin } = this.io;
    if (stdin.isTTY !== true || stdin.setRawMode === undefined) return () => {};
    const pressed = (chunk: Uint8Array | string): void => {
      for (const key of Buffer.from(chunk).toString('latin1')) {
        if (key === 'r') this.onRestart();
        else if (key === '\u0003' || key === 'q') this.requestStop();
      }
    };
    stdin.setRawMode(true);
    stdin.on('data', pressed);
    stdin.resume();
    return () => {
      stdin.off('data', pressed);
      stdin.setRawMode?.(false);
      stdin.pause();
    };
  }
}

/** Members of the store, without the API server before them. */
function storesOf(supervisor: Supervisor): Member[] {
  return supervisor.members.filter(({ spec }) => spec.kind === 'store');
}

/** An API server without a store is nothing to wait for. */
function noneRuns(supervisor: Supervisor): boolean {
  return storesOf(supervisor).every(({ pid }) => pid === undefined);
}
