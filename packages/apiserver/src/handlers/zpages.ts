/**
 * /flagz and /statusz: which flags a server runs with, and what it is, for people who look after it; as text, or as JSON
 * and YAML of config.k8s.io to who asks for exactly that.
 *
 * Modelled on component-base's zpages.
 */

import { parseAccept } from '../api/accept.ts';
import type { ApiRequest, ApiResponse, Handler } from '../api/exchange.ts';
import type { Json, JsonObject } from '../api/json.ts';
import { notAcceptable } from '../api/status.ts';
import { writeJson } from '../codec/json-writer.ts';
import { formatTime } from '../codec/times.ts';
import { writeYaml } from '../codec/yaml.ts';

const GROUP = 'config.k8s.io';
const COMPONENT = 'apiserver';
const TYPES: readonly string[] = ['application/json', 'application/yaml', 'text/plain'];
const VERSIONS: ReadonlySet<string> = new Set(['v1alpha1', 'v1beta1']);
const WARNING =
  'Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for debugging purposes only.';
/** What the original lists: health, metrics and these pages. */
const PATHS: readonly string[] = [
  '/flagz',
  '/healthz',
  '/livez',
  '/metrics',
  '/readyz',
  '/statusz',
  '/version',
];

export interface StatusFacts {
  readonly startedMs: number;
  readonly nowMs: () => number;
  /** `1.36` */
  readonly binaryVersion: string;
  readonly emulatedVersion: string;
}

/** @param flags names without dashes, with the texts of their values */
export function flagz(flags: ReadonlyMap<string, string>): Handler {
  const sorted = [...flags].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const lines = sorted.map(([name, value]) => `${name}=${value}\n`).join('');
  return page('Flagz', {
    text: () => lines,
    fields: () => ({ flags: Object.fromEntries(sorted) }),
  });
}

export function statusz({ startedMs, nowMs, binaryVersion, emulatedVersion }: StatusFacts): Handler {
  const uptime = (): number => Math.max(0, Math.floor((nowMs() - startedMs) / 1000));
  return page('Statusz', {
    text: () => {
      const seconds = uptime();
      const two = (value: number): string => String(value).padStart(2, '0');
      const up = `${Math.floor(seconds / 3600)} hr ${two(Math.floor(seconds / 60) % 60)} min ${two(seconds % 60)} sec`;
      return (
        `Started  ${unixDate(startedMs)}\nUp  ${up}\nGo version  none\n` +
        `Binary version  ${binaryVersion}\nEmulation version  ${emulatedVersion}\nPaths  ${PATHS.join(' ')}\n`
      );
    },
    fields: () => ({
      startTime: formatTime(Math.floor(startedMs / 1000)),
      uptimeSeconds: uptime(),
      goVersion: 'none',
      binaryVersion,
      emulationVersion: emulatedVersion,
      paths: [...PATHS],
    }),
  });
}

interface Page {
  readonly text: () => string;
  readonly fields: () => JsonObject;
}

function page(kind: 'Flagz' | 'Statusz', { text, fields }: Page): Handler {
  const endpoint = kind.toLowerCase();
  return (request) => {
    const form = formOf(request, kind);
    if (form === undefined) throw notAcceptable(TYPES);
    if (form.type === 'text/plain') {
      const body = Buffer.from(
        `\n${COMPONENT} ${endpoint}\n${WARNING}\n${kind === 'Statusz' ? '\n' : ''}${text()}`,
      );
      return answer('text/plain; charset=utf-8', body);
    }
    if (form.version === 'v1alpha1') {
      request.warn(`This version of the ${endpoint} endpoint is deprecated. Please use a newer version.`);
    }
    const value: Json = {
      kind,
      apiVersion: `${GROUP}/${form.version}`,
      metadata: { name: COMPONENT },
      ...fields(),
    };
    const body =
      form.type === 'application/json'
        ? JSON.stringify(JSON.parse(writeJson(value)), null, 2)
        : writeYaml(value);
    return answer(`${form.type};g=${GROUP};v=${form.version};as=${kind}`, Buffer.from(body));
  };
}

function answer(contentType: string, body: Buffer): Promise<ApiResponse> {
  return Promise.resolve({ kind: 'bytes', code: 200, contentType, body });
}

interface Form {
  readonly type: string;
  readonly version: string;
}

/** Text to who does not care; the others only to who names the kind. */
function formOf({ headers }: ApiRequest, kind: string): Form | undefined {
  const accept = (headers.get('accept') ?? []).join(',');
  if (accept.trim() === '') return { type: 'text/plain', version: '' };
  for (const { type, subtype, parameters } of parseAccept(accept)) {
    if ((type === '*' || type === 'text') && (subtype === '*' || subtype === 'plain')) {
      return { type: 'text/plain', version: '' };
    }
    const version = parameters.get('v') ?? '';
    const named = parameters.get('as') === kind && parameters.get('g') === GROUP && VERSIONS.has(version);
    const asked = `${type}/${subtype}`;
    if (named && (asked === 'application/json' || asked === 'application/yaml'))
      return { type: asked, version };
  }
  return undefined;
}

/** `Sun Nov 22 01:26:45 UTC 2026` */
function unixDate(ms: number): string {
  const [, weekday, day, month, year, time] =
    /^(\w+), (\d+) (\w+) (\d+) ([\d:]+) GMT$/.exec(new Date(ms).toUTCString()) ?? [];
  return `${weekday} ${month} ${String(Number(day)).padStart(2, ' ')} ${time} UTC ${year}`;
}
