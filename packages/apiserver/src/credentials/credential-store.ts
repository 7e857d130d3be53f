/**
 * Where a server's own keys and certificates lie: a folder of files (--cert-dir), or memory for a server that lives in
 * a test. Names only, no meaning.
 */

import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface CredentialStore {
  /** For messages: where a name lies. */
  where(name: string): string;
  /** Undefined when there is none. */
  read(name: string): string | undefined;
  /** @param secret only the owner may read it */
  write(name: string, text: string, secret: boolean): void;
}

/** Files of one folder, which is made with the first of them. A file appears whole or not at all. */
export class CredentialFolder implements CredentialStore {
  private readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  where(name: string): string {
    return join(this.folder, name);
  }

  /** @throws node's errors other than that there is no such file */
  read(name: string): string | undefined {
    return readIfThere(this.where(name));
  }

  /** @throws node's errors */
  write(name: string, text: string, secret: boolean): void {
    mkdirSync(this.folder, { recursive: true, mode: 0o700 });
    const next = `${this.where(name)}.next`;
    writeFileSync(next, text, { mode: secret ? 0o600 : 0o644 });
    renameSync(next, this.where(name));
  }
}

/** Gone with the process. */
export class CredentialMemory implements CredentialStore {
  private readonly texts = new Map<string, string>();

  where(name: string): string {
    return name;
  }
  read(name: string): string | undefined {
    return this.texts.get(name);
  }
  write(name: string, text: string): void {
    this.texts.set(name, text);
  }
}

/** A file's text; undefined when there is no such file. @throws node's other errors */
function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT')
      return undefined;
    throw error;
  }
}
