/**
 * Steps that most strategies are made of: keep a part as it was, leave one out, count generations. All give
 * back the same object when nothing changes.
 */

import { equalJson } from '../api/equal.ts';
import type { Json } from '../api/json.ts';
import type { KubeObject, ObjectMeta } from '../api/meta.ts';

export { equalJson };

/** The object with these members of metadata set; undefined takes one away. */
export function withMetadata(object: KubeObject, changes: MetadataChanges): KubeObject {
  const metadata: Record<string, unknown> = { ...object.metadata };
  for (const name of Object.keys(changes)) {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- its own keys
    const value: unknown = changes[name as keyof MetadataChanges];
    if (value !== undefined) metadata[name] = value;
    // To delete what is not there would make the copy slow all the same.
    else if (Object.hasOwn(metadata, name)) delete metadata[name];
  }
  return { ...object, metadata };
}

/** Members of metadata to set, or to take away with undefined. */
export type MetadataChanges = { readonly [Name in keyof ObjectMeta]?: ObjectMeta[Name] | undefined };

/** metadata.generation 1: what a kind with a spec gets on create. */
export function firstGeneration(object: KubeObject): KubeObject {
  return withMetadata(object, { generation: 1 });
}

/**
 * The old object's generation, one more when any of the fields changed.
 *
 * @param fields top-level members that count, `spec` for most kinds
 */
export function nextGeneration(
  object: KubeObject,
  old: KubeObject,
  fields: readonly string[] = ['spec'],
): KubeObject {
  const before = old.metadata.generation ?? 0;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what lies under an object's names is JSON
  const same = fields.every((field) => equalJson(object[field] as Json, old[field] as Json));
  return withMetadata(object, { generation: same ? before || undefined : before + 1 });
}

/** The object without a top-level member. */
export function withoutField(object: KubeObject, field: string): KubeObject {
  if (!Object.hasOwn(object, field)) return object;
  const { [field]: _left, ...rest } = object;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the members of KubeObject are all there
  return rest as KubeObject;
}

/** The object with a top-level member as the old one has it, absent if it is absent there. */
export function keepField(object: KubeObject, old: KubeObject, field: string): KubeObject {
  if (!Object.hasOwn(old, field)) return withoutField(object, field);
  return object[field] === old[field] ? object : { ...object, [field]: old[field] };
}
