/**
 * The scale subresource: a parent seen as autoscaling/v1 Scale, and a Scale's number of replicas laid back on the
 * parent. Reading and writing it are the ordinary handlers' work, over this view.
 *
 * Modelled on the ScaleREST of apps and apimachinery's ScaleHandler.
 */

import type { ApiResponse } from '../api/exchange.ts';
import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import type { KubeObject, ObjectMeta } from '../api/meta.ts';
import { conflict, internalError, invalid, MODIFIED } from '../api/status.ts';
import { asJson, asObject } from '../codec/object-codec.ts';
import { conform } from '../codec/typed.ts';
import { PathElement, type FieldPath } from '../patch/field-path.ts';
import { managedFieldsOf, withManagedFields } from '../patch/managed-fields.ts';
import { parentManagedFields, scaleManagedFields } from '../patch/managed-fields-scale.ts';
import { settled } from '../registry/conversions.ts';
import { withMetadata } from '../registry/generation.ts';
import type { ScaleFields } from '../registry/resource.ts';
import { withFieldAt } from '../validation/value.ts';
import { answer } from './answer.ts';
import { patch } from './patch.ts';
import { namespaceOf, type Scope, type View } from './scope.ts';
import { update } from './update.ts';

const API_VERSION = 'autoscaling/v1';
const KIND = 'Scale';

export async function scale(scope: Scope, fields: ScaleFields): Promise<ApiResponse> {
  const viewed: Scope = { ...scope, view: scaleView(scope, fields) };
  switch (scope.request.info.verb) {
    case 'patch':
      return await patch(viewed);
    case 'update':
      return await update(viewed);
    default:
      return await read(viewed, fields);
  }
}

async function read(scope: Scope, fields: ScaleFields): Promise<ApiResponse> {
  const { request, served, parts, view } = scope;
  const { name } = request.info;
  if (served.store === undefined || view === undefined) {
    throw new Error(`${served.definition.resource} is not stored`);
  }
  const object = await served.store.read(namespaceOf(scope), name, { signal: request.signal });
  const parent = await settled(() => parts.scheme.toServed(served, object.value));
  if (fields.custom === true && valueAt(parent, fields.specReplicas) === undefined) {
    const path = fields.specReplicas.map((part) => `.${part}`).join('');
    throw internalError(new Error(`the spec replicas field ${JSON.stringify(path)} does not exist`));
  }
  return answer(scope, 200, view.show(parent));
}

/** The parent as a Scale, and back. */
function scaleView({ parts, served }: Scope, fields: ScaleFields): View {
  const { definition } = served;
  const schema = parts.scheme.types.struct('autoscaling.v1.Scale');
  const path: FieldPath = fields.specReplicas.map((name) => PathElement.field(name));
  const paths = new Map(
    definition.versions.map(({ version }) => [
      definition.group === '' ? version : `${definition.group}/${version}`,
      path,
    ]),
  );
  return {
    schema,
    apiVersion: API_VERSION,
    kind: KIND,
    show(parent) {
      const { name, namespace, uid, resourceVersion, creationTimestamp } = parent.metadata;
      const selector = fields.selector(parent);
      const object: KubeObject = {
        kind: KIND,
        apiVersion: API_VERSION,
        metadata: defined({ name, namespace, uid, resourceVersion, creationTimestamp }),
        spec: spec(numberAt(parent, fields.specReplicas)),
        status: {
          replicas: numberAt(parent, fields.statusReplicas),
          ...(selector === '' ? {} : { selector }),
        },
      };
      const entries = scaleManagedFields(managedFieldsOf(asJson(parent)) ?? [], paths);
      return asObject(withManagedFields(asJson(object), entries));
    },
    take(view, parent) {
      const { metadata } = view;
      const name = parent.metadata.name ?? '';
      const replicas = numberAt(view, ['spec', 'replicas']);
      if (replicas < 0 && fields.custom !== true) {
        throw invalid({ group: 'autoscaling', kind: KIND }, name, [
          {
            type: 'FieldValueInvalid',
            field: 'spec.replicas',
            body: `Invalid value: ${replicas}: must be greater than or equal to 0`,
          },
        ]);
      }
      const version = metadata.resourceVersion ?? '';
      if (version !== '' && version !== parent.metadata.resourceVersion)
        throw conflict(definition, name, MODIFIED);
      const uid = metadata.uid ?? '';
      if (uid !== '' && uid !== parent.metadata.uid) {
        throw conflict(
          definition,
          name,
          `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${parent.metadata.uid}`,
        );
      }
      const entries = parentManagedFields(
        managedFieldsOf(asJson(parent)) ?? [],
        managedFieldsOf(asJson(view)) ?? [],
        served.apiVersion,
        paths,
      );
      const next = withFieldAt(parent, fields.specReplicas, replicas);
      const owned = asObject(withManagedFields(asJson(next), entries));
      return withMetadata(owned, { resourceVersion: parent.metadata.resourceVersion });
    },
    decode(value, unknown) {
      const typed = conform(schema, value, {
        schemaProps: parts.scheme.schemaProps(),
        ...(unknown === undefined ? {} : { unknown }),
      });
      return asObject({ ...typed, kind: KIND, apiVersion: API_VERSION });
    },
  };
}

/** Zero replicas are left out of a Scale's spec. */
function spec(replicas: number): JsonObject {
  return replicas === 0 ? {} : { replicas };
}

function defined(metadata: {
  readonly [Name in keyof ObjectMeta]: ObjectMeta[Name] | undefined;
}): ObjectMeta {
  const kept: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(metadata)) if (value !== undefined) kept[name] = value;
  return kept;
}

function valueAt(object: KubeObject, path: readonly string[]): Json | undefined {
  let at: Json | undefined = asJson(object);
  for (const name of path) at = isJsonObject(at) ? at[name] : undefined;
  return at;
}

function numberAt(object: KubeObject, path: readonly string[]): number {
  const at = valueAt(object, path);
  return typeof at === 'number' ? at : 0;
}
