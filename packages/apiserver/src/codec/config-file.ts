/**
 * Files of configuration that flags name: YAML or JSON of one kind, read as strictly as the original reads it. A field
 * that the kind has not, one that is there twice and one of another type are refused, so that a word that is spelled
 * wrong does not silently leave something open. Knows no kind's meaning.
 *
 * Modelled on apimachinery's strict serializer, texts included.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { TypeTable } from '../schema/type-table.ts';
import { inOrder } from './told-order.ts';
import { conform, TypedError } from './typed.ts';
import { readYaml } from './yaml.ts';

export interface ConfigKind {
  /** What it is called in each of its versions: `apiserver.config.k8s.io/v1 TracingConfiguration`. */
  readonly names: readonly string[];
  /** Its types as lines of a fact table (schema/type-table.ts), the file's own first. */
  readonly types: string;
}

/** A file that is none of its kind. */
export class ConfigFileError extends Error {
  override readonly name = 'ConfigFileError';
}

interface ConfigFile {
  readonly value: JsonObject;
  /** What a strict reader refuses and another passes over. */
  readonly strict: readonly string[];
}

/**
 * The file's content, all of whose fields are the kind's.
 *
 * @throws YamlError, ConfigFileError
 */
export function readConfigFile(text: string, kind: ConfigKind): JsonObject {
  const { value, strict } = readLenientConfigFile(text, kind);
  if (strict.length > 0) throw strictError(strict);
  return value;
}

/** The file's content, and what a strict reader would refuse. @throws YamlError, ConfigFileError */
export function readLenientConfigFile(text: string, kind: ConfigKind): ConfigFile {
  const strict: string[] = [];
  const value = readYaml(text, { duplicates: (message) => strict.push(message) });
  return { value: checkedConfig(value, kind, text, strict), strict };
}

export function strictError(strict: readonly string[]): ConfigFileError {
  return new ConfigFileError(`strict decoding error: ${strict.join(', ')}`);
}

function checkedConfig(
  value: Json,
  { names, types }: ConfigKind,
  text: string,
  strict: string[],
): JsonObject {
  const said = (name: string): string => {
    const found = isJsonObject(value) ? value[name] : undefined;
    return typeof found === 'string' ? found : '';
  };
  const [kind, version] = [said('kind'), said('apiVersion')];
  if (!isJsonObject(value) || kind === '') throw new ConfigFileError(`Object 'Kind' is missing in '${text}'`);
  if (version === '') throw new ConfigFileError(`Object 'apiVersion' is missing in '${text}'`);
  if (!names.includes(`${version} ${kind}`)) {
    throw new ConfigFileError(
      `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(version)}`,
    );
  }
  strict.push(...unknownFields(value, types));
  return value;
}

/**
 * What a value says that its type has not.
 *
 * @param types lines of a fact table, the value's own first
 * @throws ConfigFileError for a field of another type
 */
export function unknownFields(value: JsonObject, types: string): string[] {
  const table = new TypeTable(`${types}\n${TYPE_META}`);
  const struct = table.struct(table.names()[0]);
  const unknown: string[] = [];
  try {
    conform(struct, value, { unknown: (path) => unknown.push(path), schemaProps: struct });
  } catch (error) {
    if (error instanceof TypedError) throw new ConfigFileError(error.message, { cause: error });
    throw error;
  }
  return inOrder(unknown, value).map((path) => `unknown field "${path}"`);
}

/** The names of a kind of apiserver.config.k8s.io in some of its versions. */
export function configNames(kind: string, versions: readonly string[]): string[] {
  return versions.map((version) => `apiserver.config.k8s.io/${version} ${kind}`);
}

const TYPE_META = 'meta.v1.TypeMeta\tkind:s:1?\tapiVersion:s:2?';
