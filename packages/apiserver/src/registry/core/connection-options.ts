/**
 * What a request says in its query to log, exec, attach, portforward and proxy, as the options object of its kind:
 * read as Go reads query parameters, defaults filled in, checked. Pure.
 *
 * Modelled on core/v1's conversions and defaults of PodLogOptions and its kin, and on ValidatePodLogOptions.
 */

import { goQuote } from '@keelson/base';

import type { RequestInfo } from '../../api/request-info.ts';
import { isTrue } from '../../api/request-info.ts';
import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { badRequest, invalid } from '../../api/status.ts';
import { formatTime, parseTime } from '../../codec/times.ts';
import { FieldErrors } from '../../validation/field-errors.ts';
import { FieldPath } from '../../validation/field-path.ts';
import { countOf, has } from '../../validation/value.ts';

/** @throws ApiError BadRequest, in strconv's words */
function integer(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  return text === null ? undefined : integerOf(text);
}

function integerOf(text: string): number {
  const bad = (why: string): Error => badRequest(`strconv.ParseInt: parsing ${goQuote(text)}: ${why}`);
  if (!/^[-+]?\d+$/.test(text)) throw bad('invalid syntax');
  const value = Number(text);
  if (Math.abs(value) >= 2 ** 63) throw bad('value out of range');
  return value;
}

/** @throws ApiError BadRequest, in the words of Go's time */
function time(query: URLSearchParams, name: string): string | undefined {
  const text = query.get(name);
  if (text === null || text === '' || text === 'null') return undefined;
  const instant = parseTime(text);
  if (instant === undefined) {
    throw badRequest(
      `parsing time ${goQuote(text)} as "2006-01-02T15:04:05Z07:00": cannot parse ${goQuote(text)} as "2006"`,
    );
  }
  return formatTime(instant.seconds);
}

function options(kind: string, members: JsonObject): KubeObject {
  const said = Object.entries(members).filter(([, value]) => value !== false && value !== '');
  return { kind, apiVersion: 'v1', metadata: {}, ...Object.fromEntries(said) };
}

/** Members that were given, those left out left out. */
function given(members: Readonly<Record<string, number | string | undefined>>): JsonObject {
  const out: Record<string, number | string> = {};
  for (const [name, value] of Object.entries(members)) if (value !== undefined) out[name] = value;
  return out;
}

/** @throws ApiError BadRequest for what does not parse, Invalid for what cannot be */
export function podLogOptions(query: URLSearchParams, info: RequestInfo): KubeObject {
  const flag = (name: string): boolean => isTrue(query.get(name));
  const object = options('PodLogOptions', {
    container: query.get('container') ?? '',
    follow: flag('follow'),
    previous: flag('previous'),
    ...given({ sinceSeconds: integer(query, 'sinceSeconds'), sinceTime: time(query, 'sinceTime') }),
    timestamps: flag('timestamps'),
    ...given({ tailLines: integer(query, 'tailLines'), limitBytes: integer(query, 'limitBytes') }),
    insecureSkipTLSVerifyBackend: flag('insecureSkipTLSVerifyBackend'),
  });
  const found = new FieldErrors();
  const notBelow = (name: string, least: number, text: string): void => {
    const value = countOf(object, name);
    if (value !== undefined && value < least) found.invalid(FieldPath.of(name), value, text);
  };
  notBelow('tailLines', 0, 'must be greater than or equal to 0');
  notBelow('limitBytes', 1, 'must be greater than 0');
  if (has(object, 'sinceSeconds') && has(object, 'sinceTime')) {
    found.forbidden(FieldPath.of(''), 'at most one of `sinceTime` or `sinceSeconds` may be specified');
  } else notBelow('sinceSeconds', 1, 'must be greater than 0');
  // Choosing one of the two streams is behind a gate of the original's that is off.
  if (query.has('stream') && query.get('stream') !== '') {
    found.forbidden(FieldPath.of('stream'), 'may not be specified');
  }
  if (found.size > 0) throw invalid({ group: '', kind: 'PodLogOptions' }, info.name, found.list);
  return object;
}

/** Of exec and attach. Who names no output gets both, as there would be nothing to see otherwise. */
export function podCommandOptions(
  kind: 'PodAttachOptions' | 'PodExecOptions',
): (query: URLSearchParams) => KubeObject {
  return (query) => {
    const flag = (name: string): boolean => isTrue(query.get(name));
    const unsaid = !query.has('stdout') && !query.has('stderr');
    const command = query.getAll('command');
    return options(kind, {
      stdin: flag('stdin'),
      stdout: unsaid || flag('stdout'),
      stderr: unsaid || flag('stderr'),
      tty: flag('tty'),
      container: query.get('container') ?? '',
      ...(kind === 'PodExecOptions' && command.length > 0 ? { command } : {}),
    });
  };
}

/** @throws ApiError BadRequest */
export function podPortForwardOptions(query: URLSearchParams): KubeObject {
  const ports = query
    .getAll('ports')
    .flatMap((text) => text.split(','))
    .map(integerOf);
  return options('PodPortForwardOptions', ports.length === 0 ? {} : { ports });
}

/** Of a proxy: the path behind it, with a slash at its end where the request's has one. */
export function proxyOptions(
  kind: 'NodeProxyOptions' | 'PodProxyOptions' | 'ServiceProxyOptions',
): (query: URLSearchParams, info: RequestInfo) => KubeObject {
  return (_query, info) => {
    let path = info.parts.slice(3).join('/');
    if (path !== '' && !path.startsWith('/')) path = `/${path}`;
    if (info.path.endsWith('/') && !path.endsWith('/')) path += '/';
    return options(kind, { path });
  };
}
