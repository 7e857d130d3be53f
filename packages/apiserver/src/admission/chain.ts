/**
 * The plugins of a server in their order: first all that mutate, all of them once more when one asks for it, and, after
 * the kind's own validation, all that validate. Says nothing itself.
 *
 * Modelled on apiserver's admission/chain.go and its reinvocation handler.
 */

import type { KubeObject } from '../api/meta.ts';
import {
  mutates,
  validates,
  type AdmissionAttributes,
  type AdmissionPlugin,
  type MutationPass,
  type Operation,
} from './admission.ts';

export class AdmissionChain {
  private readonly plugins: readonly AdmissionPlugin[];

  constructor(plugins: readonly AdmissionPlugin[]) {
    this.plugins = plugins;
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
      for (const plugin of this.plugins) {
        if (!mutates(plugin) || !plugin.handles(attributes.operation)) continue;
        const admitted = plugin.admit(current, pass);
        const object = admitted instanceof Promise ? await admitted : admitted;
        if (object !== current.object) current = { ...attributes, object };
      }
      if (!repeats) break;
    }
    return current.object;
  }

  /** @throws ApiError the first refusal */
  async validate(attributes: AdmissionAttributes): Promise<void> {
    for (const plugin of this.plugins) {
      if (!validates(plugin) || !plugin.handles(attributes.operation)) continue;
      const pending = plugin.validate(attributes);
      if (pending !== undefined) await pending;
    }
  }
}
