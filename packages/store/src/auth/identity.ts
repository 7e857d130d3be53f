/** Who asks: what a token or a certificate stands for. It proves nothing by itself; the rooms that make one do. */

export interface Identity {
  readonly username: string;
  /**
   * The auth revision the caller's knowledge of itself is from: a command decided at a later one is refused, so that
   * what was allowed to a user is never done in the name of what the user has become.
   */
  readonly revision: number;
}

/** The user that owns everything, and the role that allows it. */
export const ROOT_USER = 'root';
export const ROOT_ROLE = 'root';
