/**
 * Writes packages/apiserver/src/schema/gen/facts.ts and src/openapi/gen/enums.ts from the published descriptions of the Kubernetes API.
 *
 *   node packages/apiserver/generate/main.ts [FOLDER]
 *
 * FOLDER holds go-fields-1.36.json, protobuf-fields-1.36.json and openapi-v2-1.36.json; ../shared/kubernetes
 * beside the repository when not given.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { enumsModule, factsModule } from './facts.ts';

const root = path.join(import.meta.dirname, '../../..');
const folder = process.argv[2] ?? path.join(root, '../shared/kubernetes');

function read(name: string): string {
  return readFileSync(path.join(folder, name), 'utf8');
}

const text = factsModule(
  read('go-fields-1.36.json'),
  read('protobuf-fields-1.36.json'),
  read('openapi-v2-1.36.json'),
);
writeFileSync(path.join(root, 'packages/apiserver/src/schema/gen/facts.ts'), text);
writeFileSync(
  path.join(root, 'packages/apiserver/src/openapi/gen/enums.ts'),
  enumsModule(read('go-fields-1.36.json')),
);
