/**
 * A CustomResourceDefinition as it lies in the store: JSON of v1beta1, which the original has written ever since, so that
 * either server reads what the other wrote. What all versions say alike stands there once, beside the list of versions.
 *
 * Modelled on the conversions of apiextensions-apiserver (apis/apiextensions/v1 and v1beta1).
 */

import type { Json, JsonObject } from '../api/json.ts';
import type { KubeObject } from '../api/meta.ts';
import type { WrittenForm } from '../registry/resource.ts';
import { part, partOf, parts, same, text, texts, withField } from '../validation/value.ts';

/** What versions may say alike, and its name beside them. */
const SHARED: Readonly<Record<string, string>> = {
  schema: 'validation',
  subresources: 'subresources',
  additionalPrinterColumns: 'additionalPrinterColumns',
  selectableFields: 'selectableFields',
};

export const WRITTEN: WrittenForm = {
  mediaType: 'json',
  as: {
    version: 'v1beta1',
    typeName: 'apiextensions.v1beta1.CustomResourceDefinition',
    write: (object) => renamed(object, 'v1beta1', written(part(object, 'spec'))),
    read: (object) => renamed(object, 'v1', read(part(object, 'spec'))),
  },
};

function renamed(object: KubeObject, version: string, spec: JsonObject): KubeObject {
  return { ...object, apiVersion: `apiextensions.k8s.io/${version}`, spec };
}

function written(spec: JsonObject): JsonObject {
  const { versions: _versions, preserveUnknownFields: _preserve, ...rest } = spec;
  const versions = parts(spec, 'versions').map(columns('jsonPath', 'JSONPath'));
  const shared: Record<string, Json> = {};
  let own = versions;
  for (const [name, above] of Object.entries(SHARED)) {
    const [first] = versions;
    if (first === undefined || !versions.every((each) => same(each[name], first[name]))) continue;
    if (first[name] !== undefined) shared[above] = first[name];
    own = own.map((each) => withField(each, name, undefined));
  }
  const conversion = partOf(spec, 'conversion');
  const webhook = conversion && partOf(conversion, 'webhook');
  return {
    ...rest,
    ...(versions.length === 0 ? {} : { version: text(versions[0], 'name') }),
    ...shared,
    versions: own,
    ...(conversion === undefined
      ? {}
      : {
          conversion: {
            strategy: text(conversion, 'strategy'),
            ...(webhook?.['clientConfig'] === undefined
              ? {}
              : { webhookClientConfig: webhook['clientConfig'] }),
            ...(webhook?.['conversionReviewVersions'] === undefined
              ? {}
              : { conversionReviewVersions: webhook['conversionReviewVersions'] }),
          },
        }),
    preserveUnknownFields: spec['preserveUnknownFields'] === true,
  };
}

function read(spec: JsonObject): JsonObject {
  const {
    version,
    validation: _validation,
    subresources: _subresources,
    additionalPrinterColumns: _columns,
    selectableFields: _fields,
    preserveUnknownFields,
    conversion: held,
    ...rest
  } = spec;
  let versions = parts(spec, 'versions');
  if (versions.length === 0 && typeof version === 'string' && version !== '') {
    versions = [{ name: version, served: true, storage: true }];
  }
  for (const [name, above] of Object.entries(SHARED)) {
    const value = spec[above];
    if (value !== undefined) versions = versions.map((each) => ({ ...each, [name]: value }));
  }
  const conversion = partOf({ held }, 'held');
  const client = conversion?.['webhookClientConfig'];
  const reviews = conversion === undefined ? [] : texts(conversion, 'conversionReviewVersions');
  return {
    ...rest,
    versions: versions.map(columns('JSONPath', 'jsonPath')),
    ...(conversion === undefined
      ? {}
      : {
          conversion: {
            strategy: text(conversion, 'strategy'),
            ...(client === undefined && reviews.length === 0
              ? {}
              : {
                  webhook: {
                    ...(client === undefined ? {} : { clientConfig: client }),
                    conversionReviewVersions: reviews,
                  },
                }),
          },
        }),
    ...(preserveUnknownFields === false ? {} : { preserveUnknownFields: true }),
  };
}

/** The path of a column is spelt differently in the two versions. */
function columns(from: string, to: string): (version: JsonObject) => JsonObject {
  return (version) =>
    version['additionalPrinterColumns'] === undefined
      ? version
      : withField(
          version,
          'additionalPrinterColumns',
          parts(version, 'additionalPrinterColumns').map(({ [from]: path, ...column }) => ({
            ...column,
            [to]: path ?? '',
          })),
        );
}
