/** The three tables under /debug/api_priority_and_fairness/: levels, queues, requests that wait. As the original's. */

import { apiVersionOf } from '../api/meta.ts';
import type { Asking, Level } from './flow-control.ts';

export function dumpLevels(levels: readonly Level[]): string {
  return table([
    [
      'PriorityLevelName',
      'ActiveQueues',
      'IsIdle',
      'IsQuiescing',
      'WaitingRequests',
      'ExecutingRequests',
      'DispatchedRequests',
      'RejectedRequests',
      'TimedoutRequests',
      'CancelledRequests',
    ],
    ...levels.map((level) => {
      const { facts, queues, ends } = level;
      return [
        facts.name,
        facts.exempt ? 0 : queues.dump().filter(({ waiting }) => waiting.length > 0).length,
        facts.exempt ? level.executing === 0 : queues.idle,
        level.quiescing,
        level.waiting,
        level.executing,
        ends.dispatched,
        ends.rejected,
        ends.timedOut,
        ends.cancelled,
      ];
    }),
  ]);
}

export function dumpQueues(levels: readonly Level[]): string {
  return table([
    [
      'PriorityLevelName',
      'Index',
      'PendingRequests',
      'ExecutingRequests',
      'SeatsInUse',
      'NextDispatchR',
      'InitialSeatsSum',
      'MaxSeatsSum',
      'TotalWorkSum',
    ],
    ...levels.flatMap(({ facts, queues }) =>
      facts.exempt
        ? []
        : queues
            .dump()
            .map(({ index, waiting, executing, seatsInUse, nextDispatchR, seatsSum, workSum }) => [
              facts.name,
              index,
              waiting.length,
              executing,
              seatsInUse,
              seatSeconds(nextDispatchR),
              waiting.reduce((sum, { work }) => sum + work.seats, 0),
              seatsSum,
              seatSeconds(workSum),
            ]),
    ),
  ]);
}

/** @param wallMs wall time of a moment of the monotonic clock, ms */
export function dumpRequests(
  levels: readonly Level[],
  details: boolean,
  wallMs: (monotonicMs: number) => number,
): string {
  const rows: (string | number | boolean)[][] = [
    [
      'PriorityLevelName',
      'FlowSchemaName',
      'QueueIndex',
      'RequestIndexInQueue',
      'FlowDistingsher',
      'ArriveTime',
      'InitialSeats',
      'FinalSeats',
      'AdditionalLatency',
      ...(details
        ? ['UserName', 'Verb', 'APIPath', 'Namespace', 'Name', 'APIVersion', 'Resource', 'SubResource']
        : []),
    ],
  ];
  for (const { facts, queues } of levels) {
    for (const { index, waiting } of queues.dump()) {
      for (const [place, { work, arrivedMs, about }] of waiting.entries()) {
        const { digest, schema, distinguisher } = aboutOf(about);
        const { info, user } = digest;
        rows.push([
          facts.name,
          schema,
          index,
          place,
          distinguisher,
          new Date(wallMs(arrivedMs)).toISOString(),
          work.seats,
          work.finalSeats,
          work.finalMs === 0 ? '0s' : `${work.finalMs}ms`,
          ...(details
            ? [
                user.name,
                info.verb,
                info.path,
                info.namespace,
                info.name,
                info.isResource ? apiVersionOf(info) : '',
                info.resource,
                info.subresource,
              ]
            : []),
        ]);
      }
    }
  }
  return table(rows);
}

function aboutOf(about: unknown): Asking {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- put there by FlowControl.enter
  return about as Asking;
}

/** Milliseconds as the original writes seat-seconds. */
function seatSeconds(ms: number): string {
  return `${(ms / 1_000).toFixed(8)}ss`;
}

/** Cells behind commas, columns as wide as their widest cell; the last one is not filled. */
function table(rows: readonly (readonly (string | number | boolean)[])[]): string {
  const widths: number[] = [];
  const cells = rows.map((row) => row.map((cell, at) => (at === row.length - 1 ? String(cell) : `${cell},`)));
  for (const row of cells) {
    for (const [at, cell] of row.entries()) {
      if (at < row.length - 1) widths[at] = Math.max(widths[at] ?? 0, 7, cell.length);
    }
  }
  return cells
    .map(
      (row) =>
        `${row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] + 1))).join('')}\n`,
    )
    .join('');
}
