/**
 * The initial cluster: "name=url,name=url" as members and peer URLs, and the checks a member makes
 * when it starts without data. A member that finds its log ignores all of it, so nothing here runs as
 * part of parsing flags. Pure: names are resolved by the caller and handed in.
 */
import type { ServerConfig } from './flag-table.ts';
import { type Parsed, goQuote, parsed, refused } from './go-values.ts';
import { type EtcdUrl, parseUrlList, urlTexts } from './urls.ts';

/** Member names to their peer URLs; names ascending, URLs of a member ascending by text. */
export type InitialCluster = ReadonlyMap<string, readonly EtcdUrl[]>;

/** Reads --initial-cluster; a name repeated adds a URL to its member. */
export function parseInitialCluster(text: string): Parsed<InitialCluster> {
  const texts = new Map<string, string[]>();
  for (const part of text.split(',')) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    const name = equals < 0 ? part : part.slice(0, equals);
    const urls = texts.get(name) ?? [];
    urls.push(equals < 0 ? '' : part.slice(equals + 1));
    texts.set(name, urls);
  }
  const cluster = new Map<string, readonly EtcdUrl[]>();
  for (const name of [...texts.keys()].sort()) {
    const urls = parseUrlList(texts.get(name)!);
    if (!urls.ok) return refused(`error setting up initial cluster: ${urls.error}`);
    cluster.set(name, urls.value);
  }
  return parsed(cluster);
}

/** The canonical text: pairs in ascending order. */
export function formatInitialCluster(cluster: InitialCluster): string {
  const pairs: string[] = [];
  for (const [name, urls] of cluster) for (const url of urls) pairs.push(`${name}=${url.text}`);
  return pairs.sort().join(',');
}

function hasDuplicateUrl(cluster: InitialCluster): boolean {
  const texts = [...cluster.values()].flatMap(urlTexts);
  return new Set(texts).size !== texts.length;
}

type Bootstrap = Pick<ServerConfig, 'name' | 'initialAdvertisePeerUrls' | 'initialCluster'>;

/**
 * Host names that must be resolved before verifyBootstrap can compare this member's advertised URLs
 * with those the initial cluster gives it. Empty where the texts are equal: then nobody asks DNS.
 */
export function hostsToResolve(config: Bootstrap): readonly string[] {
  const cluster = parseInitialCluster(config.initialCluster);
  if (!cluster.ok) return [];
  const listed = cluster.value.get(config.name) ?? [];
  const own = urlTexts(config.initialAdvertisePeerUrls).sort();
  if (own.join(',') === urlTexts(listed).join(',')) return [];
  const hosts = [...listed, ...config.initialAdvertisePeerUrls].map((url) => url.hostname);
  return [...new Set(hosts)].filter((host) => host !== '');
}

function resolvedText(url: EtcdUrl, addresses: ReadonlyMap<string, string>): string {
  const address = addresses.get(url.hostname);
  if (address === undefined || url.hostname === '') return url.text;
  const host = address.includes(':') ? `[${address}]` : address;
  return `${url.scheme}://${host}:${url.port}`;
}

/** Go's %q of a list. */
function quotedList(texts: readonly string[]): string {
  return `[${texts.map(goQuote).join(' ')}]`;
}

/** Why the advertised peer URLs are not those the initial cluster gives this member. */
function advertiseProblem(
  config: Bootstrap,
  listed: readonly EtcdUrl[],
  addresses: ReadonlyMap<string, string>,
): string | undefined {
  const resolve = (urls: readonly EtcdUrl[]): string[] =>
    urls.map((url) => resolvedText(url, addresses)).sort();
  const advertised = urlTexts(config.initialAdvertisePeerUrls).sort();
  const listedTexts = urlTexts(listed);
  if (advertised.join(',') === listedTexts.join(',')) return undefined;
  const [own, theirs] = [resolve(config.initialAdvertisePeerUrls), resolve(listed)];
  if (own.join(',') === theirs.join(',')) return undefined;
  const differing = own.findIndex((text, i) => text !== theirs[i]);
  const cause =
    own.length === theirs.length
      ? `resolved urls: ${goQuote(own[differing])} != ${goQuote(theirs[differing])}`
      : `len(${quotedList(advertised)}) != len(${quotedList(listedTexts)})`;
  const unadvertised = listedTexts.filter((text) => !advertised.includes(text));
  if (unadvertised.length > 0) {
    const missing = unadvertised.map((text) => `${config.name}=${text}`).join(',');
    return `--initial-cluster has ${missing} but missing from --initial-advertise-peer-urls=${advertised.join(',')} (${cause})`;
  }
  const unlisted = advertised.filter((text) => !listedTexts.includes(text));
  const ownPairs = advertised.map((text) => `${config.name}=${text}`).join(',');
  if (unlisted.length > 0) {
    return `--initial-advertise-peer-urls has ${unlisted.join(',')} but missing from --initial-cluster=${ownPairs}`;
  }
  return `failed to resolve ${advertised.join(',')} to match --initial-cluster=${ownPairs} (${cause})`;
}

function localMemberProblem(config: Bootstrap, cluster: InitialCluster): string | undefined {
  if (cluster.has(config.name)) return undefined;
  return `couldn't find local name ${goQuote(config.name)} in the initial cluster configuration`;
}

/**
 * The members of a cluster about to be founded (--initial-cluster-state=new, no log on disk), or the
 * reason this member must not start.
 *
 * @param addresses what each of hostsToResolve resolved to
 */
export function verifyBootstrap(
  config: Bootstrap,
  addresses: ReadonlyMap<string, string> = new Map(),
): Parsed<InitialCluster> {
  const cluster = parseInitialCluster(config.initialCluster);
  if (!cluster.ok) return cluster;
  const problem =
    localMemberProblem(config, cluster.value) ??
    advertiseProblem(config, cluster.value.get(config.name) ?? [], addresses) ??
    (hasDuplicateUrl(cluster.value)
      ? `initial cluster ${formatInitialCluster(cluster.value)} has duplicate url`
      : undefined);
  return problem === undefined ? cluster : refused(problem);
}

/**
 * The same for a member that joins (--initial-cluster-state=existing, no log on disk): the cluster was
 * told its URLs already, so they are not compared.
 */
export function verifyJoinExisting(config: Bootstrap): Parsed<InitialCluster> {
  const cluster = parseInitialCluster(config.initialCluster);
  if (!cluster.ok) return cluster;
  const problem =
    localMemberProblem(config, cluster.value) ??
    (hasDuplicateUrl(cluster.value)
      ? `initial cluster ${formatInitialCluster(cluster.value)} has duplicate url`
      : undefined);
  return problem === undefined ? cluster : refused(problem);
}
