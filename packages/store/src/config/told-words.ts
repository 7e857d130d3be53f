/**
 * A command line as others may see it: in the log's first line and on /debug/vars, which asks nobody who they are. What
 * stands in /proc is the operator's to keep; a password belongs in the environment (SECURITY.md).
 */

/** A user's flag may hold the password as well, "user:password". */
const SECRET_FLAG = /^(--?discovery-(?:password|user))(?:=.*)?$/s;

/** The words, with *** for values that are or may hold a password. */
export function withoutPasswords(words: readonly string[]): string[] {
  let secret = false;
  return words.map((word) => {
    const flag = SECRET_FLAG.exec(word);
    const told = secret ? '***' : flag !== null && word !== flag[1] ? `${flag[1]}=***` : word;
    secret = flag !== null && word === flag[1];
    return told;
  });
}
