/**
 * Whole documents, put together from parts: the paths of each group version and the definitions they lead to. A part is
 * made once and kept as bytes by whoever asks (handlers/openapi.ts), so that a change of one group version costs its own
 * part. Generators hand back control after each path and definition: whoever drives them decides when to pause.
 */

import { isJsonObject, type JsonObject } from '../api/json.ts';
import type { GroupVersion } from '../api/meta.ts';
import type { TypeTable } from '../schema/type-table.ts';
import { Definitions, nameOf, type CustomDefinitions, type Dialect } from './definitions.ts';
import { Gnostic } from './gnostic.ts';
import { contentsOf, pathItemV2, pathItemV3, sharedParametersV2 } from './paths.ts';
import type { Prose } from './prose.ts';
import {
  groupRoute,
  ISSUER_ROUTES,
  resourceRoutes,
  SERVER_ROUTES,
  versionRoute,
  type PathRoute,
} from './routes.ts';
import type { VersionSource } from './sources.ts';

export type Format = 'json' | 'protobuf';

/** What has a document of its own in version 3: a group version, a group, a document of the server. */
export interface Unit {
  /** `apis/apps/v1`, `apis/apps`, `api`, `version`. */
  readonly key: string;
  /** Another text when its routes are others. */
  readonly signature: string;
  routes(): Iterable<PathRoute>;
}

/** All units of what is served, by their keys. */
export function unitsOf(sources: readonly VersionSource[], issuer: boolean): Unit[] {
  const units: Unit[] = [];
  const fixed = issuer ? [...SERVER_ROUTES, ...ISSUER_ROUTES] : [...SERVER_ROUTES];
  for (const [key, route] of fixed) units.push({ key, signature: key, routes: () => [route] });
  for (const group of new Set(sources.map((source) => source.group))) {
    if (group !== '') {
      units.push({ key: `apis/${group}`, signature: group, routes: () => [groupRoute(group)] });
    }
  }
  for (const source of sources) {
    units.push({
      key: unitKey(source),
      signature: source.signature,
      routes: () => versionRoutes(source),
    });
  }
  return units.toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

function unitKey({ group, version }: GroupVersion): string {
  return group === '' ? `api/${version}` : `apis/${group}/${version}`;
}

function* versionRoutes(source: VersionSource): Generator<PathRoute> {
  yield versionRoute(source);
  for (const resource of source.resources) yield* resourceRoutes(resource);
}

/** A part of a document: a stretch of members or fields. */
export interface Part {
  readonly bytes: Buffer;
  /** Keys of the definitions that are needed with it. */
  readonly contents: ReadonlySet<string>;
  /** The routes' shared parameters of version 2. */
  readonly parameters: ReadonlyMap<string, JsonObject>;
}

const INFO: JsonObject = { title: 'Kubernetes', version: 'unversioned' };
const BEARER_TOKEN: JsonObject = {
  description: 'A token in the header, behind the word Bearer.',
  in: 'header',
  name: 'authorization',
  type: 'apiKey',
};
const COMMA = Buffer.from(',');

/** Writes documents of one version. */
export class DocumentWriter {
  private readonly definitions: Definitions;
  private readonly version: Dialect;
  private readonly gnostic: Gnostic;

  constructor(types: TypeTable, prose: Prose, version: Dialect, custom?: CustomDefinitions) {
    this.version = version;
    this.definitions = new Definitions(types, prose, version, custom);
    this.gnostic = new Gnostic(version);
  }

  /** The paths of a unit. */
  *paths(unit: Unit, format: Format): Generator<undefined, Part> {
    const pieces: Buffer[] = [];
    const contents = new Set<string>();
    const routes: PathRoute[] = [];
    for (const route of unit.routes()) {
      routes.push(route);
      for (const key of contentsOf(route)) contents.add(key);
      const v2 = this.version === 'v2';
      const item = (v2 ? pathItemV2 : pathItemV3)(route, this.definitions);
      pieces.push(
        format === 'json'
          ? jsonMember(route.path, item)
          : this.gnostic.entry('PathItem', v2 ? 2 : 1, route.path, item),
      );
      yield;
    }
    const parameters = this.version === 'v2' ? sharedParametersV2(routes, this.definitions) : NO_PARAMETERS;
    return { bytes: joined(pieces, format), contents, parameters };
  }

  /**
   * All definitions that these keys lead to.
   *
   * @param kept definitions by name that were made before; Kubernetes' own that are made now are added
   */
  *schemas(
    keys: Iterable<string>,
    format: Format,
    kept: Map<string, KeptDefinition>,
  ): Generator<undefined, Buffer> {
    const found = new Map<string, Buffer>();
    const open = [...keys];
    for (let key = open.pop(); key !== undefined; key = open.pop()) {
      const name = nameOf(key);
      if (found.has(name)) continue;
      let made = kept.get(name);
      if (made === undefined) {
        const { schema, references } = this.definitions.define(key);
        const bytes =
          format === 'json'
            ? jsonMember(name, schema)
            : this.gnostic.entry(this.version === 'v2' ? 'Schema' : 'SchemaOrReference', 1, name, schema);
        made = { bytes, references };
        if (name !== key || key.startsWith('io.k8s.')) kept.set(name, made);
        yield;
      }
      found.set(name, made.bytes);
      open.push(...made.references);
    }
    const sorted = [...found].toSorted(([a], [b]) => (a < b ? -1 : 1));
    return joined(
      sorted.map(([, bytes]) => bytes),
      format,
    );
  }

  /**
   * Paths of another server's document, as paths() writes ours.
   *
   * @throws Error for a member that protobuf has no field for
   */
  foreignPaths(paths: JsonObject, format: Format): Buffer {
    return this.foreign(paths, 'PathItem', 2, format);
  }

  /** The same for its definitions. @throws Error for a member that protobuf has no field for */
  foreignDefinitions(definitions: JsonObject, format: Format): Buffer {
    return this.foreign(definitions, 'Schema', 1, format);
  }

  private foreign(members: JsonObject, message: string, field: number, format: Format): Buffer {
    const pieces = Object.entries(members).map(([name, value]) => {
      if (!isJsonObject(value)) throw new Error(`${name} is no object`);
      return format === 'json' ? jsonMember(name, value) : this.gnostic.entry(message, field, name, value);
    });
    return joined(pieces, format);
  }

  /** The document of version 2. */
  wholeV2(format: Format, parts: readonly Part[], schemas: Buffer): Buffer {
    const shared = new Map(parts.flatMap(({ parameters }) => [...parameters]));
    const parameters = Object.fromEntries([...shared].toSorted(([a], [b]) => (a < b ? -1 : 1)));
    const rest: JsonObject = {
      parameters,
      security: [{ BearerToken: [] }],
      securityDefinitions: { BearerToken: BEARER_TOKEN },
      swagger: '2.0',
    };
    const paths = parts.map(({ bytes }) => bytes);
    if (format === 'json') {
      return Buffer.concat([
        Buffer.from('{"definitions":{'),
        schemas,
        Buffer.from(`},"info":${JSON.stringify(INFO)},"paths":{`),
        joined(paths, format),
        Buffer.from(`},${JSON.stringify(rest).slice(1)}`),
      ]);
    }
    const size = paths.reduce((sum, { length }) => sum + length, 0);
    return Buffer.concat([
      this.gnostic.member('swagger', rest['swagger']),
      this.gnostic.member('info', INFO),
      Gnostic.header(8, size),
      ...paths,
      Gnostic.header(9, schemas.length),
      schemas,
      this.gnostic.member('parameters', parameters),
      this.gnostic.member('security', rest['security']),
      this.gnostic.member('securityDefinitions', rest['securityDefinitions']),
    ]);
  }

  /** A document of version 3. */
  wholeV3(format: Format, paths: Part, schemas: Buffer): Buffer {
    const schemes: JsonObject = { BearerToken: BEARER_TOKEN };
    if (format === 'json') {
      return Buffer.concat([
        Buffer.from('{"components":{"schemas":{'),
        schemas,
        Buffer.from(
          `},"securitySchemes":${JSON.stringify(schemes)}},"info":${JSON.stringify(INFO)},"openapi":"3.0.0","paths":{`,
        ),
        paths.bytes,
        Buffer.from('}}'),
      ]);
    }
    const security = this.gnostic.entry('SecuritySchemeOrReference', 1, 'BearerToken', BEARER_TOKEN);
    const components = [
      Gnostic.header(1, schemas.length),
      schemas,
      Gnostic.header(7, security.length),
      security,
    ];
    const size = components.reduce((sum, { length }) => sum + length, 0);
    return Buffer.concat([
      this.gnostic.member('openapi', '3.0.0'),
      this.gnostic.member('info', INFO),
      Gnostic.header(4, paths.bytes.length),
      paths.bytes,
      Gnostic.header(5, size),
      ...components,
    ]);
  }
}

/** A definition that was written, and what it needs. */
export interface KeptDefinition {
  readonly bytes: Buffer;
  readonly references: readonly string[];
}

const NO_PARAMETERS: ReadonlyMap<string, JsonObject> = new Map();
/** A part that needs nothing of ours. */
export const NO_PART: Part = { bytes: Buffer.alloc(0), contents: new Set(), parameters: NO_PARAMETERS };

/** Stretches that may be empty, as one. */
export function joinedPieces(pieces: readonly Buffer[], format: Format): Buffer {
  return joined(
    pieces.filter(({ length }) => length > 0),
    format,
  );
}

function jsonMember(name: string, value: JsonObject): Buffer {
  return Buffer.from(`${JSON.stringify(name)}:${JSON.stringify(value)}`);
}

/** Members of a JSON object behind commas; fields of a message as they are. */
function joined(pieces: readonly Buffer[], format: Format): Buffer {
  if (format === 'protobuf') return Buffer.concat(pieces);
  return Buffer.concat(pieces.flatMap((piece, index) => (index === 0 ? [piece] : [COMMA, piece])));
}
