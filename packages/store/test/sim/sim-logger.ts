/** What members say of themselves, heard for goals and counts; printed when a seed is watched. */
import type { Logger } from '@keelson/base';
import type { Goal } from './goals.ts';
import type { SimMember } from './member.ts';
import type { Stage } from './life.ts';

/** Lines that show that something was met. */
const GOAL_OF: ReadonlyMap<string, Goal> = new Map<string, Goal>([
  ['saved snapshot', 'snapshot taken'],
  ['applied snapshot', 'snapshot installed'],
  ['repaired the log: an unfinished write at its end was cut', 'torn tail repaired'],
  ['message exceeded backend quota; raising alarm', 'NOSPACE raised'],
  ['finished scheduled compaction', 'compaction finished'],
  ['sending database snapshot', 'log cut while a follower was behind'],
]);
const COUNT_OF: ReadonlyMap<string, string> = new Map([
  ['saved snapshot', 'snapshotsTaken'],
  ['applied snapshot', 'snapshotsInstalled'],
  ['finished scheduled compaction', 'compactions'],
]);

export function simLogger(stage: Stage, member: SimMember, prints: boolean): Logger {
  const log: Logger['log'] = (level, message, fields) => {
    const goal = GOAL_OF.get(message);
    if (goal !== undefined) stage.reach(goal);
    const count = COUNT_OF.get(message);
    if (count !== undefined) stage.count(count);
    if (prints)
      process.stderr.write(`${stage.scheduler.now} ${member.name} ${level} ${message} ${textOf(fields)}\n`);
  };
  return {
    enabled: (level) => prints || (level !== 'debug' && level !== 'info'),
    log,
    debug: (message, fields) => {
      if (prints) log('debug', message, fields);
    },
    info: (message, fields) => log('info', message, fields),
    warn: (message, fields) => log('warn', message, fields),
    error: (message, fields) => log('error', message, fields),
  };
}

function textOf(fields: Readonly<Record<string, unknown>> | undefined): string {
  return JSON.stringify(fields ?? {}, (_key, value: unknown) =>
    typeof value === 'bigint' ? value.toString(16) : value,
  );
}
