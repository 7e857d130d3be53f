/** `pnpm proto`: writes proto/gen from the .proto files and removes what no file asks for any more. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generate } from './generator/generator.ts';
import { PROTO_DIR } from './generator/model.ts';

const folder = join(PROTO_DIR, 'gen');
mkdirSync(folder, { recursive: true });
const files = generate();
for (const name of readdirSync(folder)) if (!files.has(name)) rmSync(join(folder, name), { recursive: true });
for (const [name, text] of files) writeFileSync(join(folder, name), text);
