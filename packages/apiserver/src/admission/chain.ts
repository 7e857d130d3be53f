/**
 * The plugins of a server in their order: first all that mutate, all of them once more when one asks for it, and, after
 * the kind's own validation, all that validate. Says nothing itself.
 *
 * Modelled on apiserver's admission/chain.go and its reinvocation handler.
 */

import type { Clock } from '@keelson/base';

import type { KubeObject } from '../api/meta.ts';
import {
  mutates,
  validates,
  type AdmissionAttributes,
  type AdmissionPlugin,
  type MutationPass,
  type Operation,
} from './admission.ts';

/** Told how long plugins took and whether they refused. */
export interface ChainObserver {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** @returns told each time the plugin has had its turn; asked for once */
  plugin(name: string, step: Step, operation: Operation): TurnObserver;
  /** All plugins of a step together. */
  step(step: Step, operation: Operation, rejected: boolean, seconds: number): void;
}

/** `admit` mutates, `validate` does not. */
export type Step = 'admit' | 'validate';
type TurnObserver = (rejected: boolean, seconds: number) => void;

export class AdmissionChain {
  private readonly plugins: readonly AdmissionPlugin[];
  private readonly observer: ChainObserver | undefined;
  /** By step and operation, in the order of the plugins. */
  private readonly turns = new Map<string, (TurnObserver | undefined)[]>();

  constructor(plugins: readonly AdmissionPlugin[], observer?: ChainObserver) {
    this.plugins = plugins;
    this.observer = observer;
  }

  /** Names of the plugins, in order. */
  get names(): readonly string[] {
    return this.plugins.map((plugin) => plugin.name);
  }

  handles(operation: Operation): boolean {
    return this.plugins.some((plugin) => plugin.handles(operation));
  }

  /**
   * The object after all mutations.
   *
   * @throws ApiError the first refusal
   */
  async mutate(attributes: AdmissionAttributes): Promise<KubeObject | undefined> {
    const watch = this.stopwatch('admit', attributes.operation);
    let current = attributes;
    const request = {};
    let repeats = false;
    for (const again of [false, true]) {
      const pass: MutationPass = {
        again,
        request,
        repeat: () => {
          repeats = true;
        },
      };
      for (const [place, plugin] of this.plugins.entries()) {
        if (!mutates(plugin) || !plugin.handles(attributes.operation)) continue;
        try {
          const admitted = plugin.admit(current, pass);
          const object = admitted instanceof Promise ? await admitted : admitted;
          if (object !== current.object) current = { ...attributes, object };
        } catch (error) {
          watch?.refused(place);
          throw error;
        }
        watch?.passed(place);
      }
      if (!repeats) break;
    }
    watch?.over(false);
    return current.object;
  }

  /** @throws ApiError the first refusal */
  async validate(attributes: AdmissionAttributes): Promise<void> {
    const watch = this.stopwatch('validate', attributes.operation);
    for (const [place, plugin] of this.plugins.entries()) {
      if (!validates(plugin) || !plugin.handles(attributes.operation)) continue;
      try {
        const pending = plugin.validate(attributes);
        if (pending !== undefined) await pending;
      } catch (error) {
        watch?.refused(place);
        throw error;
      }
      watch?.passed(place);
    }
    watch?.over(false);
  }

  private stopwatch(step: Step, operation: Operation): Stopwatch | undefined {
    const { observer } = this;
    if (observer === undefined) return undefined;
    const key = `${step} ${operation}`;
    let turns = this.turns.get(key);
    if (turns === undefined) {
      turns = [];
      this.turns.set(key, turns);
    }
    const known = turns;
    const turnOf = (place: number): TurnObserver =>
      (known[place] ??= observer.plugin(this.plugins[place].name, step, operation));
    return new Stopwatch(observer, step, operation, turnOf);
  }
}

/** One step of one request: the clock is read once between two plugins. */
class Stopwatch {
  private readonly observer: ChainObserver;
  private readonly kind: Step;
  private readonly operation: Operation;
  private readonly turnOf: (place: number) => TurnObserver;
  private readonly startMs: number;
  private lastMs: number;

  constructor(
    observer: ChainObserver,
    kind: Step,
    operation: Operation,
    turnOf: (place: number) => TurnObserver,
  ) {
    this.turnOf = turnOf;
    this.observer = observer;
    this.kind = kind;
    this.operation = operation;
    this.startMs = observer.clock.monotonicMs();
    this.lastMs = this.startMs;
  }

  /** @param place of the plugin */
  passed(place: number): void {
    this.tell(place, false);
  }

  /** It was the last of the step. */
  refused(place: number): void {
    this.tell(place, true);
    this.over(true);
  }

  over(rejected: boolean): void {
    this.observer.step(this.kind, this.operation, rejected, (this.lastMs - this.startMs) / 1_000);
  }

  private tell(place: number, rejected: boolean): void {
    const nowMs = this.observer.clock.monotonicMs();
    this.turnOf(place)(rejected, (nowMs - this.lastMs) / 1_000);
    this.lastMs = nowMs;
  }
}
