/**
 * --experimental-serializable-ordering: a serializable read never shows a store older than one seen before through this
 * proxy. An answer that would is thrown away, and another member is asked; when all are behind, the read fails.
 * (etcd: client/v3/ordering, before which it puts the cache, whose answers go back as they please.)
 */
import { RpcError, StatusCode } from '@keelson/rpc';

/** As the original: so many rounds over the members. */
const ROUNDS = 5;

export class RevisionOrder {
  private highest = 0;

  /** What an answer of any kind showed. */
  saw(revision: number): void {
    if (revision > this.highest) this.highest = revision;
  }

  /** Whether something newer was seen already. */
  isBehind(revision: number): boolean {
    return revision < this.highest;
  }

  /**
   * Reads until the answer is no older than anything seen before the read began.
   * @param read one attempt
   * @param elsewhere the member was behind: choose another
   * @throws RpcError when no member has caught up; what `read` throws
   */
  async inOrder<T>(
    memberCount: number,
    read: () => Promise<{ readonly revision: number; readonly answer: T }>,
    elsewhere: () => Promise<void>,
  ): Promise<T> {
    const atLeast = this.highest;
    for (let attempt = 0; ; attempt++) {
      const { revision, answer } = await read();
      if (revision >= atLeast) {
        this.saw(revision);
        return answer;
      }
      if (attempt >= ROUNDS * memberCount) break;
      await elsewhere();
    }
    throw new RpcError(
      StatusCode.Unknown,
      'etcdclient: no cluster members have a revision higher than the previously received revision',
    );
  }
}
