/** What a server shows to another when it calls it: taken anew for each call, whoever makes it. */

/** What is shown to a server in one call. */
export interface Shown {
  /** PEM. */
  readonly pair?: { readonly cert: string; readonly key: string };
  /** The Authorization header. */
  readonly authorization?: string;
}

/** How a server shows itself to another. */
export interface CallCredentials {
  /**
   * As they are now: files are read anew, a program is asked when what it said has expired.
   *
   * @throws Error
   */
  shown(): Promise<Shown>;
  /** Told when the server took these for nobody's (401). */
  refused(shown: Shown): void;
}

/** Shows nothing. */
export const NO_CREDENTIALS: CallCredentials = {
  shown: () => Promise.resolve({}),
  refused: () => undefined,
};
