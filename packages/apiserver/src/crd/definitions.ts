/**
 * CustomResourceDefinition as a resource: what it is filled in with, what of it is refused, and how its deletion waits
 * for the objects it defines. Serving what it defines is custom-resources.ts.
 *
 * Modelled on apiextensions-apiserver's registry/customresourcedefinition.
 */

import { goQuote } from '@keelson/base';

import type { JsonObject } from '../api/json.ts';
import type { KubeObject } from '../api/meta.ts';
import { RegexCache } from '../cel/regex.ts';
import { formatTime, parseTime } from '../codec/times.ts';
import { isDeleting } from '../registry/deletion.ts';
import { keepField, withMetadata } from '../registry/generation.ts';
import { defineKind, type KindChecks } from '../registry/kinds/kind.ts';
import type { ResourceDefinition } from '../registry/resource.ts';
import type { TypeTable } from '../schema/type-table.ts';
import { flag, part, partOf, parts, text, texts, withField, withFieldAt } from '../validation/value.ts';
import { withCondition } from './conditions.ts';
import { checkStatus, definitionErrors, liftedOf, type DefinitionCheck } from './definition-errors.ts';
import { isFormat } from './formats.ts';
import { WRITTEN } from './written-form.ts';
import type { Rules } from './rules.ts';
import { subschemas } from './structural-errors.ts';

export const APIEXTENSIONS = 'apiextensions.k8s.io';
export const CLEANUP_FINALIZER = 'customresourcecleanup.apiextensions.k8s.io';

/** @param rules who compiles the rules of schemas */
export function customResourceDefinitions(types: TypeTable, rules: Rules): ResourceDefinition {
  const check: DefinitionCheck = {
    patterns: new RegexCache(),
    get objectMeta() {
      return types.struct('meta.v1.ObjectMeta');
    },
    rules: rules.check,
    evaluate: (evaluation, pace) => rules.evaluate(evaluation, pace),
  };
  const definition = defineKind({
    group: APIEXTENSIONS,
    types: 'apiextensions',
    resource: 'customresourcedefinitions',
    kind: 'CustomResourceDefinition',
    scope: 'Cluster',
    shortNames: ['crd', 'crds'],
    categories: ['api-extensions'],
    keyPrefix: `${APIEXTENSIONS}/customresourcedefinitions`,
    written: WRITTEN,
    checks: checksOf(check),
    hooks: {
      // The first deletion marks it; it goes when the finalizer that this leaves is taken away.
      removable: isDeleting,
      terminating(object) {
        const finalizers = object.metadata.finalizers ?? [];
        // A deletion is no change of what is defined: the generation stays.
        const generation = Math.max((object.metadata.generation ?? 1) - 1, 1);
        const held = finalizers.includes(CLEANUP_FINALIZER) ? finalizers : [...finalizers, CLEANUP_FINALIZER];
        return withCondition(
          withMetadata(object, { finalizers: held, generation, deletionGracePeriodSeconds: undefined }),
          {
            type: 'Terminating',
            status: 'True',
            reason: 'InstanceDeletionPending',
            message: 'CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon',
          },
          object.metadata.deletionTimestamp ?? formatTime(parseTime('1970-01-01T00:00:00Z')?.seconds ?? 0),
        );
      },
    },
  });
  return {
    ...definition,
    versions: definition.versions.map((version) => ({ ...version, defaults: withDefaults })),
  };
}

function checksOf(check: DefinitionCheck): KindChecks {
  return {
    generation: ['spec'],
    allowUnconditionalUpdate: false,
    updateChecksAlone: true,
    prepareForCreate: (object) =>
      withStoredVersion(
        withField(object, 'status', { conditions: null, acceptedNames: NO_NAMES, storedVersions: [] }),
      ),
    prepareForUpdate: (object, old) => withStoredVersion(keepField(object, old, 'status')),
    check: () => undefined,
    checkCreate(errors, object) {
      errors.list.push(...definitionErrors(object, undefined, check).list);
    },
    checkUpdate(errors, object, old) {
      errors.list.push(...definitionErrors(object, old, check).list);
    },
    status: { check: (errors, object) => checkStatus(errors, object) },
    warnings(object, old) {
      const before = new Set(old === undefined ? [] : unknownFormats(part(old, 'spec')));
      return unknownFormats(part(object, 'spec'))
        .filter((format) => !before.has(format))
        .map((format) => `unrecognized format ${goQuote(format)}`);
    },
  };
}

/** Formats that nothing is checked by, once for what all versions say alike. */
function unknownFormats(spec: JsonObject): readonly string[] {
  const versions = parts(spec, 'versions');
  const told = liftedOf(versions).schema ? versions.slice(0, 1) : versions;
  const found: string[] = [];
  const look = (schema: JsonObject): void => {
    const format = text(schema, 'format');
    if (format !== '' && !isFormat(text(schema, 'type'), format)) found.push(format);
    for (const node of subschemas(schema)) look(node);
  };
  for (const version of told) look(part(part(version, 'schema'), 'openAPIV3Schema'));
  return found;
}

const NO_NAMES: JsonObject = { plural: '', kind: '' };

/** The version objects are written in from now on is one that some are stored in. */
function withStoredVersion(object: KubeObject): KubeObject {
  const storage = parts(part(object, 'spec'), 'versions').find((version) => flag(version, 'storage'));
  if (storage === undefined) return object;
  const stored = texts(part(object, 'status'), 'storedVersions');
  const name = text(storage, 'name');
  return stored.includes(name)
    ? object
    : withFieldAt(object, ['status', 'storedVersions'], [...stored, name]);
}

function withDefaults(object: KubeObject): KubeObject {
  const spec = part(object, 'spec');
  const names = part(spec, 'names');
  const kind = text(names, 'kind');
  let next = object;
  if (text(names, 'singular') === '' && kind !== '') {
    next = withFieldAt(next, ['spec', 'names', 'singular'], kind.toLowerCase());
  }
  if (text(names, 'listKind') === '' && kind !== '') {
    next = withFieldAt(next, ['spec', 'names', 'listKind'], `${kind}List`);
  }
  const conversion = partOf(spec, 'conversion');
  if (conversion === undefined) return withFieldAt(next, ['spec', 'conversion'], { strategy: 'None' });
  const service = partOf(part(part(conversion, 'webhook'), 'clientConfig'), 'service');
  if (service === undefined || service['port'] !== undefined) return next;
  return withFieldAt(next, ['spec', 'conversion', 'webhook', 'clientConfig', 'service', 'port'], 443);
}
