/**
 * The machine's own secrets: bcrypt on libuv's threads, letters from the system's generator, tokens signed with keys
 * from files. Hashes are written as Go's bcrypt writes them ($2a$), so that a real etcd reads what we stored.
 */
import { randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import bcrypt from 'bcrypt';
import type { Secrets } from '../auth/secrets.ts';
import { openJwt } from './jwt.ts';

const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

export const systemSecrets: Secrets = {
  hash: async (password, cost) => bcrypt.hash(password, await bcrypt.genSalt(cost, 'a')),
  matches: (password, hash) => bcrypt.compare(password, hash),
  hashNow: (password, cost) => bcrypt.hashSync(password, bcrypt.genSaltSync(cost, 'a')),
  letters(count) {
    let word = '';
    for (let i = 0; i < count; i++) word += LETTERS[randomInt(LETTERS.length)];
    return word;
  },
  signedTokens: (options, nowMs) => openJwt(options, (path) => readFile(path), nowMs),
};
