/** How a CustomResourceDefinition says its versions are converted into each other. Texts are the original's. */

import type { JsonObject } from '../api/json.ts';
import { parseUrl } from '../cel/go-url.ts';
import { CelError } from '../cel/values.ts';
import type { FieldErrors } from '../validation/field-errors.ts';
import type { FieldPath } from '../validation/field-path.ts';
import { dns1035LabelErrors, dnsSubdomainErrors, portNumberErrors } from '../validation/names.ts';
import { count, part, partOf, text, texts } from '../validation/value.ts';
import { bundleError } from './conversion-bundle.ts';

const REVIEW_VERSIONS: readonly string[] = ['v1', 'v1beta1'];

/** @param anyBundle whether certificates may be none */
export function checkConversion(
  errors: FieldErrors,
  conversion: JsonObject,
  path: FieldPath,
  anyBundle: boolean,
): void {
  const strategy = text(conversion, 'strategy');
  if (strategy === '') errors.required(path.child('strategy'));
  else if (strategy !== 'None' && strategy !== 'Webhook') {
    errors.notSupported(path.child('strategy'), strategy, ['None', 'Webhook']);
  }
  const webhook = part(conversion, 'webhook');
  const client = partOf(webhook, 'clientConfig');
  const versions = texts(webhook, 'conversionReviewVersions');
  const clientPath = path.child('webhookClientConfig');
  const versionsPath = path.child('conversionReviewVersions');
  if (strategy !== 'Webhook') {
    if (client !== undefined) {
      errors.forbidden(clientPath, 'should not be set when strategy is not set to Webhook');
    }
    if (versions.length > 0) {
      errors.forbidden(versionsPath, 'should not be set when strategy is not set to Webhook');
    }
    return;
  }
  if (client === undefined) errors.required(clientPath, 'required when strategy is set to Webhook');
  else {
    checkClient(errors, client, clientPath);
    const bundle = text(client, 'caBundle');
    const wrong = anyBundle ? undefined : bundleError(bundle);
    if (wrong !== undefined) errors.invalid(clientPath.child('caBundle'), bundle, wrong);
  }
  checkReviewVersions(errors, versions, versionsPath);
}

function checkReviewVersions(errors: FieldErrors, versions: readonly string[], path: FieldPath): void {
  if (versions.length === 0) {
    errors.required(path);
    return;
  }
  const seen = new Set<string>();
  for (const [index, version] of versions.entries()) {
    if (seen.has(version)) {
      errors.invalid(path.index(index), version, 'duplicate version');
      continue;
    }
    seen.add(version);
    errors.invalids(path.index(index), version, dns1035LabelErrors(version));
  }
  if (!versions.some((version) => REVIEW_VERSIONS.includes(version))) {
    errors.invalid(path, versions, `must include at least one of ${REVIEW_VERSIONS.join(', ')}`);
  }
}

function checkClient(errors: FieldErrors, client: JsonObject, path: FieldPath): void {
  const { url } = client;
  const service = partOf(client, 'service');
  if ((typeof url === 'string') === (service !== undefined)) {
    errors.required(path, 'exactly one of url or service is required');
  } else if (typeof url === 'string') {
    checkUrl(errors, url, path.child('url'));
  } else if (service !== undefined) {
    const at = path.child('service');
    if (text(service, 'name') === '') errors.required(at.child('name'));
    if (text(service, 'namespace') === '') errors.required(at.child('namespace'));
    const port = count(service, 'port');
    for (const wrong of portNumberErrors(port)) {
      errors.invalid(at.child('port'), port, `port is not valid: ${wrong}`);
    }
    checkPlace(errors, text(service, 'path'), at.child('path'));
  }
}

/** A path of segments that could be names. */
function checkPlace(errors: FieldErrors, place: string, path: FieldPath): void {
  if (place === '' || place === '/') return;
  if (place === '//') {
    errors.invalid(path, place, 'segment[0] may not be empty');
    return;
  }
  if (!place.startsWith('/')) errors.invalid(path, place, "must start with a '/'");
  // As the original: the first character goes, whatever it is.
  const segments = place.slice(1).replace(/\/$/, '').split('/');
  for (const [index, segment] of segments.entries()) {
    if (segment === '') errors.invalid(path, place, `segment[${index}] may not be empty`);
    else {
      const wrong = dnsSubdomainErrors(segment);
      errors.invalids(
        path,
        place,
        wrong.map((detail) => `segment[${index}]: ${detail}`),
      );
    }
  }
}

const DESIRED = 'desired format: https://host[/path]';

/** A URL of any form: a relative one lacks a scheme and a host, and is no text that cannot be read. */
function checkUrl(errors: FieldErrors, url: string, path: FieldPath): void {
  const hash = url.indexOf('#');
  const whole = hash < 0 ? url : url.slice(0, hash);
  const read = parseUrl(whole);
  if (read instanceof CelError && !/: (?:invalid URI for request|empty url)$/.test(read.message)) {
    errors.required(path, `url must be a valid URL: ${read.message}; ${DESIRED}`);
    return;
  }
  const [, opaque = ''] = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(whole) ?? [];
  const { scheme, host, query } =
    read instanceof CelError
      ? { scheme: opaque.toLowerCase(), host: '', query: /\?(.*)$/s.exec(whole)?.[1] ?? '' }
      : read;
  if (scheme !== 'https') errors.invalid(path, scheme, `'https' is the only allowed URL scheme; ${DESIRED}`);
  if (host === '') errors.invalid(path, host, `host must be specified; ${DESIRED}`);
  const user = /^[^/?]*:\/\/([^/?]*)@/.exec(whole)?.[1];
  if (user !== undefined) errors.invalid(path, user, 'user information is not permitted in the URL');
  const fragment = hash < 0 ? '' : url.slice(hash + 1);
  if (fragment !== '') errors.invalid(path, fragment, 'fragments are not permitted in the URL');
  if (query !== '') errors.invalid(path, query, 'query parameters are not permitted in the URL');
}
