/**
 * /debug/vars: what Go's expvar shows of an etcd, with our runtime's figures in its places: the command line, memory,
 * raft's state as its leader and this member see it, the limit of open files.
 */
import type { Status } from '@keelson/raft';
import { Role } from '@keelson/raft';
import { hexId } from '@keelson/base';
import { withoutPasswords } from '../config/told-words.ts';
import { allowGet, answerText, type HttpHandler } from './http-answer.ts';
import type { ProcessFacts } from './process-facts.ts';

const ROLE_NAMES: Readonly<Record<Role, string>> = {
  [Role.Follower]: 'StateFollower',
  [Role.Candidate]: 'StateCandidate',
  [Role.Leader]: 'StateLeader',
  [Role.PreCandidate]: 'StatePreCandidate',
};

export function debugVarsHandler(facts: ProcessFacts, raftStatus: () => Status): HttpHandler {
  return (request, response) => {
    if (!allowGet(request, response)) return;
    const memory = facts.memory();
    const vars: Readonly<Record<string, unknown>> = {
      cmdline: withoutPasswords(facts.commandLine),
      file_descriptor_limit: facts.openFilesMax(),
      memstats: {
        Alloc: memory.heapUsed,
        Sys: memory.rss,
        HeapAlloc: memory.heapUsed,
        HeapSys: memory.heapTotal,
        HeapInuse: memory.heapUsed,
        HeapIdle: memory.heapTotal - memory.heapUsed,
      },
      'raft.status': raftText(raftStatus()),
    };
    const lines = Object.entries(vars).map(
      ([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`,
    );
    answerText(response, `{\n${lines.join(',\n')}\n}\n`, 'application/json; charset=utf-8');
  };
}

/** As raft's Status prints itself as JSON. */
function raftText(status: Status): unknown {
  const progress = status.progress.map(({ id, match, next, state }) => [
    hexId(id),
    { match, next, state: `StateProgress${state[0].toUpperCase()}${state.slice(1)}`.replace('Progress', '') },
  ]);
  return {
    id: hexId(status.id),
    term: status.term,
    vote: hexId(status.vote),
    commit: status.commit,
    lead: hexId(status.lead),
    raftState: ROLE_NAMES[status.role],
    applied: status.applied,
    progress: Object.fromEntries(progress),
    leadtransferee: hexId(status.leadTransferee),
  };
}
