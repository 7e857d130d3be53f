/** Operations, keys and events as short text for reports. */
import type { Operation, WatchEvent } from '../history/record.ts';
import type { Compare, KeyValue, Request, Response, TxnOp, TxnOpResponse } from '../history/request.ts';

const TEXT_MAX = 40;

export function quoted(text: string): string {
  const short = text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…(${text.length})` : text;
  return JSON.stringify(short);
}

export function kvText(kv: KeyValue | undefined): string {
  if (kv === undefined) return 'nothing';
  const lease = kv.lease === undefined || kv.lease === '0' ? '' : ` lease ${kv.lease}`;
  return `${quoted(kv.key)}=${quoted(kv.value)} (create ${kv.create}, mod ${kv.mod}, version ${kv.version}${lease})`;
}

export function eventText({ kind, kv, prev }: WatchEvent): string {
  const was = prev === undefined ? '' : `, was ${kvText(prev)}`;
  return kind === 'put' ? `put ${kvText(kv)}${was}` : `delete ${quoted(kv.key)} at ${kv.mod}${was}`;
}

export function rangeText(key: string, end: string | undefined): string {
  if (end === undefined || end === '') return quoted(key);
  return end === '\0' ? `[${quoted(key)}, …)` : `[${quoted(key)}, ${quoted(end)})`;
}

function compareText({ key, end, target, result, operand }: Compare): string {
  const sign = { equal: '=', greater: '>', less: '<', notEqual: '≠' }[result];
  return `${target}(${rangeText(key, end)}) ${sign} ${operand}`;
}

function opsText(ops: readonly TxnOp[] | undefined): string {
  return `[${(ops ?? []).map(requestText).join(', ')}]`;
}

export function requestText(request: Request): string {
  switch (request.kind) {
    case 'range': {
      const { kind: _, key, end, ...rest } = request;
      const options = Object.entries(rest).map(([name, value]) =>
        value === true ? name : `${name} ${value}`,
      );
      return `range ${[rangeText(key, end), ...options].join(' ')}`;
    }
    case 'put': {
      const lease = request.lease === undefined || request.lease === '0' ? '' : ` lease ${request.lease}`;
      return `put ${quoted(request.key)}=${quoted(request.value)}${lease}`;
    }
    case 'delete':
      return `delete ${rangeText(request.key, request.end)}`;
    case 'txn': {
      const compares = (request.compare ?? []).map(compareText).join(' and ');
      return `txn if ${compares === '' ? 'true' : compares} then ${opsText(request.then)} else ${opsText(request.else)}`;
    }
    default: {
      const { kind, ...rest } = request;
      return [kind, ...Object.entries(rest).map(([name, value]) => `${name} ${value}`)].join(' ');
    }
  }
}

function nestedText(response: TxnOpResponse): string {
  switch (response.kind) {
    case 'range':
      return `${response.count ?? 0} keys [${(response.kvs ?? []).slice(0, 4).map(kvText).join(', ')}]`;
    case 'put':
      return response.prev === undefined ? 'put' : `put, was ${kvText(response.prev)}`;
    case 'delete':
      return `deleted ${response.deleted ?? 0}`;
    case 'txn':
      return `${response.succeeded === true ? 'then' : 'else'} [${(response.responses ?? []).map(nestedText).join(', ')}]`;
  }
}

function responseText(response: Response): string {
  switch (response.kind) {
    case 'range':
    case 'put':
    case 'delete':
    case 'txn':
      return nestedText(response);
    default: {
      const { kind: _, revision: __, term: ___, ...rest } = response;
      const text = JSON.stringify(rest);
      return text === '{}' ? 'done' : text;
    }
  }
}

/** An operation, when and where, and how it ended. */
export function operationText(operation: Operation): string {
  const { id, client, member, user, called, returned, request, outcome } = operation;
  const who = `client ${client}${user === undefined ? '' : ` as ${user}`}${member === undefined ? '' : ` at ${member}`}`;
  const end =
    outcome.kind === 'ok'
      ? `revision ${outcome.response.revision ?? 'none'}: ${responseText(outcome.response)}`
      : `${outcome.kind}${outcome.code === undefined ? '' : ` (${outcome.code}: ${outcome.text})`}`;
  return `#${id} ${called}–${returned ?? '∞'} ${who}: ${requestText(request)} → ${end}`;
}
