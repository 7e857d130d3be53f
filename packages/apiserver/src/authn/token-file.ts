/**
 * Users by tokens of a file (`--token-auth-file`): lines `token,user,uid,"group1,group2"`. Modelled on apiserver's
 * tokenfile. The file is read by who owns the disk; its text is given.
 */

import type { UserInfo } from '../api/user-info.ts';
import type { Authenticated, TokenAuthenticator } from './authenticator.ts';

export class TokenFile implements TokenAuthenticator {
  private readonly users: ReadonlyMap<string, UserInfo>;

  /**
   * @param csv the file's text
   * @param path named in errors
   * @throws Error for a line with fewer than three columns or a quote that is not closed
   */
  constructor(csv: string, path: string) {
    const users = new Map<string, UserInfo>();
    for (const columns of readCsv(csv)) {
      if (columns.length < 3) {
        throw new Error(
          `token file '${path}' must have at least 3 columns (token, user name, user uid), found ${columns.length}`,
        );
      }
      const [token, name, uid, groups = ''] = columns;
      if (token === '') continue;
      users.set(token, {
        name,
        uid,
        groups: groups === '' ? [] : groups.split(',').map((group) => group.trim()),
        extra: {},
      });
    }
    this.users = users;
  }

  authenticateToken(token: string): Promise<Authenticated | undefined> {
    const user = this.users.get(token);
    return Promise.resolve(user === undefined ? undefined : { user });
  }
}

/** Records of a file of values with commas: quotes around a value keep commas and, doubled, quotes. */
function readCsv(text: string): string[][] {
  const records: string[][] = [];
  for (const line of text.split(/\r?\n/)) {
    if (line === '') continue;
    const columns: string[] = [];
    let at = 0;
    for (;;) {
      while (line[at] === ' ' || line[at] === '\t') at += 1;
      if (line[at] === '"') {
        const quoted = /^"((?:[^"]|"")*)"(?=,|$)/.exec(line.slice(at));
        if (quoted === null) throw new Error(`a quote is not closed in line ${records.length + 1}`);
        columns.push(quoted[1].replaceAll('""', '"'));
        at += quoted[0].length;
      } else {
        const end = line.indexOf(',', at);
        columns.push(line.slice(at, end < 0 ? line.length : end));
        at = end < 0 ? line.length : end;
      }
      if (at >= line.length) break;
      at += 1;
    }
    records.push(columns);
  }
  return records;
}
