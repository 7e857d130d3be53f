/** Kubernetes' URL and regex libraries, which were there from the beginning (1.23). */

import type { Sliced } from '../api/sliced.ts';
import { overload, type Implementation, type Overload, type SlicedImplementation } from './functions.ts';
import { parseUrl, queryOf, type Url } from './go-url.ts';
import type { Regex, RegexCache } from './regex.ts';
import { opaque, type CelType } from './types.ts';
import { ArrayList, CelError, EntryMap, noSuchOverload, Opaque, type Result, type Value } from './values.ts';

const URL_TYPE = opaque('kubernetes.URL');

class UrlValue extends Opaque {
  override readonly type: CelType = URL_TYPE;
  readonly url: Url;

  constructor(url: Url) {
    super();
    this.url = url;
  }

  override equals(other: Opaque): boolean {
    return other instanceof UrlValue && this.url.text === other.url.text;
  }
}

const onUrl =
  (run: (url: Url) => Result): Implementation =>
  (value) =>
    value instanceof UrlValue ? run(value.url) : noSuchOverload();

const U = 'kubernetes.URL';

export const URL_LIBRARY: readonly Overload[] = [
  overload('string_to_url', `url(string) ${U}`, (text) => {
    if (typeof text !== 'string') return noSuchOverload();
    const url = parseUrl(text);
    return url instanceof CelError
      ? new CelError(`URL parse error during conversion from string: ${url.message}`)
      : new UrlValue(url);
  }),
  overload('is_url_string', 'isURL(string) bool', (text) =>
    typeof text === 'string' ? !(parseUrl(text) instanceof CelError) : noSuchOverload(),
  ),
  overload(
    'url_get_scheme',
    `${U}->getScheme() string`,
    onUrl((url) => url.scheme),
  ),
  overload(
    'url_get_host',
    `${U}->getHost() string`,
    onUrl((url) => url.host),
  ),
  overload(
    'url_get_hostname',
    `${U}->getHostname() string`,
    onUrl((url) => url.hostname),
  ),
  overload(
    'url_get_port',
    `${U}->getPort() string`,
    onUrl((url) => url.port),
  ),
  overload(
    'url_get_escaped_path',
    `${U}->getEscapedPath() string`,
    onUrl((url) => url.escapedPath),
  ),
  overload(
    'url_get_query',
    `${U}->getQuery() map(string, list(string))`,
    onUrl((url) => {
      const map = new EntryMap();
      for (const [key, values] of queryOf(url)) map.insert(key, new ArrayList(values));
      return map;
    }),
  ),
];

/** A negative limit is none. */
function limitOf(limit: Value | undefined): number {
  return typeof limit === 'bigint' && limit >= 0n ? Number(limit) : Number.POSITIVE_INFINITY;
}

function* firstOf(search: Sliced<readonly string[]>): Sliced<Result> {
  return (yield* search)[0] ?? '';
}

function* listOf(search: Sliced<readonly string[]>): Sliced<Result> {
  return new ArrayList(yield* search);
}

export function regexLibrary(regexes: RegexCache): readonly Overload[] {
  const find: Implementation = (text, pattern) => {
    if (typeof text !== 'string' || typeof pattern !== 'string') return noSuchOverload();
    const regex = regexes.compile(pattern);
    return regex instanceof CelError
      ? new CelError(`Illegal regex: ${regex.message}`)
      : (regex.findAll(text, 1)[0] ?? '');
  };
  const findAll: Implementation = (text, pattern, limit) => {
    if (typeof text !== 'string' || typeof pattern !== 'string') return noSuchOverload();
    const regex = regexes.compile(pattern);
    if (regex instanceof CelError) return new CelError(`Illegal regex: ${regex.message}`);
    return new ArrayList(regex.findAll(text, limitOf(limit)));
  };
  const longSearch = (
    text: Value,
    pattern: Value,
  ): { readonly regex: Regex; readonly text: string } | undefined => {
    if (typeof text !== 'string' || typeof pattern !== 'string') return undefined;
    const regex = regexes.compile(pattern);
    return regex instanceof CelError || !regex.isLong(text) ? undefined : { regex, text };
  };
  const slicedFind: SlicedImplementation = ([text, pattern], pace) => {
    const long = longSearch(text, pattern);
    return long && firstOf(long.regex.slicedFindAll(long.text, 1, pace));
  };
  const slicedFindAll: SlicedImplementation = ([text, pattern, limit], pace) => {
    const long = longSearch(text, pattern);
    return long && listOf(long.regex.slicedFindAll(long.text, limitOf(limit), pace));
  };
  return [
    overload('string_find_string', 'string->find(string) string', find, slicedFind),
    overload('string_find_all_string', 'string->findAll(string) list(string)', findAll, slicedFindAll),
    overload(
      'string_find_all_string_int',
      'string->findAll(string, int) list(string)',
      findAll,
      slicedFindAll,
    ),
  ];
}
