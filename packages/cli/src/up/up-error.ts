/** Why `keelson up` does not start, in one line for whoever typed it. */
export class UpError extends Error {
  override readonly name = 'UpError';
}
