/**
 * What `up` shows while it runs: on a terminal a table redrawn in place, elsewhere a line for each change.
 * Pure: reports in, text out; up.ts decides when.
 */
import { formatSize } from '../go-text.ts';
import type { MemberReport } from './supervisor.ts';

const HEADER: readonly string[] = [
  'MEMBER',
  'PID',
  'ROLE',
  'TERM',
  'REVISION',
  'RAFT INDEX',
  'DB SIZE',
  'HEALTH',
];

/** The table, header first. */
export function statusLines(reports: readonly MemberReport[]): string[] {
  const rows = reports.map((report) => {
    const { member, status } = report;
    return [
      member.name,
      member.pid === undefined ? '-' : String(member.pid),
      roleOf(report),
      status === undefined ? '-' : String(status.term),
      status === undefined ? '-' : String(status.revision),
      status === undefined ? '-' : String(status.raftIndex),
      status === undefined ? '-' : formatSize(status.dbSizeBytes),
      healthOf(report),
    ];
  });
  const table = [HEADER, ...rows];
  const widths = HEADER.map((_, column) => Math.max(...table.map((row) => (row[column] ?? '').length)));
  return table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

function roleOf({ member, status }: MemberReport): string {
  if (member.spec.kind === 'apiserver') return 'API';
  if (status === undefined) return '-';
  if (status.leads) return 'leader';
  return status.learner ? 'learner' : 'follower';
}

/** One word for a member's state. */
export function healthOf({ member, healthy, status }: MemberReport): string {
  if (healthy) return 'ok';
  if (status?.hasLeader === false) return 'no leader';
  if (status !== undefined) return 'unhealthy';
  return member.pid === undefined ? 'down' : 'unreachable';
}

/** What is different, a line each; processes that end are told elsewhere. */
export function changeLines(before: readonly MemberReport[], after: readonly MemberReport[]): string[] {
  const lines: string[] = [];
  const leader = leaderOf(after);
  if (leader !== undefined && leader.member.name !== leaderOf(before)?.member.name) {
    lines.push(`${leader.member.name} leads (term ${leader.status?.term})`);
  }
  for (const report of after) {
    const old = before.find(({ member }) => member.name === report.member.name);
    if (old === undefined) continue;
    const [was, is] = [healthOf(old), healthOf(report)];
    if (was !== is && is !== 'down') lines.push(`${report.member.name}: ${is} (was ${was})`);
  }
  return lines;
}

export function leaderOf(reports: readonly MemberReport[]): MemberReport | undefined {
  const leaders = reports.filter(({ status }) => status?.leads === true);
  // A leader that was cut off may not know yet that another has its place.
  return leaders.toSorted((a, b) => (b.status?.term ?? 0) - (a.status?.term ?? 0))[0];
}

/** A block of lines at the end of a terminal's output that is replaced in place. */
export class LiveBlock {
  private readonly write: (text: string) => void;
  private readonly columns: () => number;
  private drawn: readonly string[] = [];

  constructor(write: (text: string) => void, columns: () => number) {
    this.write = write;
    this.columns = columns;
  }

  /** Longer lines are cut: one that wraps would take more rows than are erased. */
  draw(lines: readonly string[]): void {
    const columns = this.columns();
    this.write(this.erasure() + lines.map((line) => `${line.slice(0, columns - 1)}\n`).join(''));
    this.drawn = lines;
  }

  /** Prints a line that stays, above the block. */
  say(line: string): void {
    const lines = this.drawn;
    this.write(`${this.erasure()}${line}\n`);
    this.drawn = [];
    this.draw(lines);
  }

  /** Up to the block's first line, and everything below away. */
  private erasure(): string {
    return this.drawn.length === 0 ? '' : `\u001b[${this.drawn.length}A\u001b[J`;
  }
}
