/** Secrets that hide nothing: a password is its own hash, and letters come from the seed. */
import type { Prng } from '@keelson/base';
import type { Secrets } from '../../src/auth/secrets.ts';
import type { Life } from './life.ts';

const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
/** bcrypt takes its time on another thread. */
const HASH_MS_MAX = 60;

export function simSecrets(life: Life, prng: Prng): Secrets {
  const hashOf = (password: string): string => `$2a$sim$${password}`;
  return {
    hash: async (password) => {
      await life.sleep(prng.below(HASH_MS_MAX), 'hash');
      return hashOf(password);
    },
    matches: async (password, hash) => {
      await life.sleep(prng.below(HASH_MS_MAX), 'hash');
      return hash === hashOf(password);
    },
    hashNow: hashOf,
    letters: (count) => Array.from({ length: count }, () => LETTERS[prng.below(LETTERS.length)]).join(''),
    signedTokens: () => Promise.reject(new Error('no signed tokens in a simulation')),
  };
}
