/**
 * The way to the password hash: a few at a time, a bounded queue behind them. A hash costs tens of milliseconds of a
 * core; without the gate a flood of logins would take the machine from raft. It computes nothing itself.
 */
import { Deferred } from '@keelson/base';
import { StoreError } from '../errors.ts';
import { PASSWORD_BYTES_MAX } from '../limits.ts';

/** bcrypt, off this thread; secrets/passwords.ts in production. */
export interface PasswordHash {
  /** @returns the hash in its own text form, "$2a$…" */
  hash(password: string, cost: number): Promise<string>;
  /** False also for a hash it cannot read. */
  matches(password: string, hash: string): Promise<boolean>;
  /** The same hash at once, on this thread; for entries of old logs alone. */
  hashNow(password: string, cost: number): string;
}

export interface PasswordGateOptions {
  readonly cost: number;
  readonly concurrencyMax: number;
  /** Callers that may wait; the next one is refused. */
  readonly queueMax: number;
}

export class PasswordGate {
  private readonly passwords: PasswordHash;
  private readonly options: PasswordGateOptions;
  private running = 0;
  private waiting: { readonly turn: Deferred<void>; readonly abandoned: () => boolean }[] = [];
  /** A hash no password has, to be compared with for users that do not exist. */
  private decoy: Promise<string> | undefined;
  readonly counters = { refused: 0 };

  constructor(passwords: PasswordHash, options: PasswordGateOptions) {
    this.passwords = passwords;
    this.options = options;
  }

  get waitingCount(): number {
    return this.waiting.length;
  }

  /**
   * The hash of a new password, in base64, as commands carry it.
   * @param abandoned whether nobody wants the result any more; asked when its turn comes
   * @throws StoreError PASSWORD_TOO_LONG, PASSWORD_QUEUE_FULL
   */
  async hash(password: string, abandoned: () => boolean): Promise<string> {
    if (Buffer.byteLength(password, 'utf8') > PASSWORD_BYTES_MAX) throw new StoreError('PASSWORD_TOO_LONG');
    const hash = await this.pass(abandoned, () => this.passwords.hash(password, this.options.cost));
    return Buffer.from(hash, 'latin1').toString('base64');
  }

  /**
   * Whether the password is the one of this hash. Without a hash (no such user) it takes as long and is false, so that
   * nobody learns by the clock who exists.
   * @throws StoreError PASSWORD_QUEUE_FULL
   */
  matches(password: string, hash: Buffer | undefined, abandoned: () => boolean): Promise<boolean> {
    return this.pass(abandoned, async () => {
      if (hash !== undefined) return this.passwords.matches(password, hash.toString('latin1'));
      this.decoy ??= this.passwords.hash('', this.options.cost);
      await this.passwords.matches(password, await this.decoy);
      return false;
    });
  }

  private async pass<T>(abandoned: () => boolean, work: () => Promise<T>): Promise<T> {
    if (this.running >= this.options.concurrencyMax) {
      if (this.waiting.length >= this.options.queueMax) {
        this.counters.refused++;
        throw new StoreError('PASSWORD_QUEUE_FULL');
      }
      const turn = new Deferred<void>();
      this.waiting.push({ turn, abandoned });
      await turn.promise;
    } else this.running++;
    try {
      return await work();
    } finally {
      this.next();
    }
  }

  /** Hands the place on, past those who have gone. */
  private next(): void {
    for (;;) {
      const waiter = this.waiting.shift();
      if (waiter === undefined) {
        this.running--;
        return;
      }
      if (!waiter.abandoned()) {
        waiter.turn.resolve();
        return;
      }
      waiter.turn.reject(new StoreError('PASSWORD_QUEUE_FULL'));
    }
  }
}
