/**
 * top: the members of a cluster, what they do and who watches, redrawn in place. Not a command of etcdctl. It
 * asks each member for its status and reads its /metrics page; a member without one is shown without rates.
 */
import { EtcdError, type Client, type Member } from '@keelson/client';
import type { Io } from '../../io.ts';
import { LiveBlock } from '../../up/status-view.ts';
import type { Command, CommandContext } from '../command.ts';
import { CtlError, ExitCode } from '../ctl-error.ts';
import { readMetrics, type Metrics } from '../metrics-page.ts';
import { errorText } from './lease.ts';
import { frameJson, frameOf, rowsOf, type MemberSample } from './top-view.ts';

/** Sampling more often would measure the sampling. */
const INTERVAL_MIN_MS = 50;

export const top: Command = {
  path: ['top'],
  usage: '[options]',
  short: 'Shows members, throughput and watchers, live',
  stops: true,
  long: `Shows every member of the cluster: role, term, revision, log index and how far behind it is, requests and
events per second, watchers, keys, sizes, health. On a terminal the view is redrawn in place until it is
stopped; elsewhere each frame follows the last. With -w json each frame is a line.`,
  flags: [
    { name: 'interval', kind: 'duration', initial: '1s', usage: 'time between two frames' },
    { name: 'once', kind: 'bool', initial: 'false', usage: 'one frame, after one interval' },
  ],
  async run(context) {
    const { flags, io, printer, stopping } = context;
    const intervalMs = Math.max(INTERVAL_MIN_MS, flags.durationMs('interval'));
    const json = printer.format === 'json';
    if (!json && printer.format !== 'simple') {
      throw new CtlError(ExitCode.BadFeature, `${printer.format} not supported as output format`);
    }
    const once = flags.bool('once');
    const block = io.terminal && !once && !json ? view(io) : undefined;
    const members = new Members(context);
    try {
      let before = await members.sample();
      do {
        await passed(intervalMs, stopping);
        if (stopping.aborted) break;
        const now = await members.sample();
        const rows = rowsOf(before, now);
        before = now;
        if (json) io.out(`${frameJson(rows)}\n`);
        else if (block === undefined) io.out(`${frameOf(rows).join('\n')}\n${once ? '' : '\n'}`);
        else block.draw(frameOf(rows));
      } while (!once);
      return ExitCode.Success;
    } finally {
      members.close();
    }
  },
};

const view = (io: Io): LiveBlock =>
  new LiveBlock(
    (text) => io.out(text),
    () => io.columns(),
  );

function passed(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** A client of each member, made when the member is first seen. */
class Members {
  private readonly context: CommandContext;
  private readonly clients = new Map<string, Client>();

  constructor(context: CommandContext) {
    this.context = context;
  }

  /** @throws EtcdError when no member says who is there */
  async sample(): Promise<MemberSample[]> {
    const { members } = await this.context.client().cluster.memberList({ serializable: true });
    return Promise.all(members.map((member) => this.sampleOf(member)));
  }

  close(): void {
    for (const client of this.clients.values()) client.close();
  }

  private async sampleOf({ name, clientURLs }: Member): Promise<MemberSample> {
    const [endpoint] = clientURLs;
    if (endpoint === undefined) {
      return {
        endpoint: name,
        atMs: performance.now(),
        status: undefined,
        error: 'unstarted',
        metrics: undefined,
      };
    }
    const client = this.clients.get(endpoint) ?? this.context.clientOf([endpoint]);
    this.clients.set(endpoint, client);
    const metrics = readMetrics(endpoint, this.context.tls).catch((): Metrics | undefined => undefined);
    try {
      const response = await client.maintenance.status();
      return {
        endpoint,
        status: {
          name,
          id: response.header?.memberId ?? 0n,
          leader: response.leader,
          learner: response.isLearner,
          version: response.version,
          term: response.raftTerm,
          raftIndex: response.raftIndex,
          appliedIndex: response.raftAppliedIndex,
          revision: response.header?.revision ?? 0,
          dbSizeBytes: response.dbSize,
          dbInUseBytes: response.dbSizeInUse,
          errors: response.errors,
        },
        error: '',
        metrics: await metrics,
        atMs: performance.now(),
      };
    } catch (error) {
      if (!(error instanceof EtcdError)) throw error;
      return {
        endpoint,
        atMs: performance.now(),
        status: undefined,
        error: errorText(error),
        metrics: await metrics,
      };
    }
  }
}
