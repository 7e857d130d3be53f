/**
 * The informers of a server: started and stopped together, and one health check over all of them. A server is not
 * ready before each has seen the state once, since until then it would refuse what is allowed.
 */

import type { Informer } from './informer.ts';

export class InformerSet {
  private readonly informers: Informer[] = [];
  private started = false;

  /** Adds one; it starts at once if the others have. */
  add(informer: Informer): void {
    this.informers.push(informer);
    if (this.started) informer.start();
  }

  start(): void {
    this.started = true;
    for (const informer of this.informers) informer.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.informers.map((informer) => informer.stop()));
  }

  async whenSynced(): Promise<void> {
    await Promise.all(this.informers.map((informer) => informer.whenSynced()));
  }

  /** Readiness, under the original's name. */
  readonly check = {
    name: 'informer-sync',
    endpoints: ['readyz'],
    check: (): Promise<string | undefined> => {
      const late = this.informers.filter(({ synced }) => !synced).map(({ name }) => name);
      return Promise.resolve(
        late.length === 0 ? undefined : `${late.length} informers not started yet: [${late.join(' ')}]`,
      );
    },
  } as const;
}
