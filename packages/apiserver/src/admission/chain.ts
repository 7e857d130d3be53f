/**
 * The plugins of a server in their order: first all that mutate, those that ask for it once more when one behind
 * them changed the object, and, after the kind's own validation, all that validate. Says nothing itself.
 *
 * Modelled on apiserver's admission/chain.go and its reinvocation handler.
 */

import { equalJson } from '../api/equal.ts';
import type { Json } from '../api/json.ts';
import type { KubeObject } from '../api/meta.ts';
import {
  mutates,
  validates,
  type AdmissionAttributes,
  type AdmissionPlugin,
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
    let { object } = attributes;
    /** Place of the last plugin that changed the object in the first round. */
    let last = -1;
    for (const [place, plugin] of this.plugins.entries()) {
      if (!mutates(plugin) || !plugin.handles(attributes.operation)) continue;
      const next = await plugin.admit({ ...attributes, object }, { again: false });
      if (changed(object, next)) last = place;
      object = next;
    }
    for (const [place, plugin] of this.plugins.entries()) {
      if (place >= last) break;
      if (!mutates(plugin) || plugin.reinvoked !== true || !plugin.handles(attributes.operation)) continue;
      object = await plugin.admit({ ...attributes, object }, { again: true });
    }
    return object;
  }

  /** @throws ApiError the first refusal */
  async validate(attributes: AdmissionAttributes): Promise<void> {
    for (const plugin of this.plugins) {
      if (validates(plugin) && plugin.handles(attributes.operation)) await plugin.validate(attributes);
    }
  }
}

function changed(before: KubeObject | undefined, after: KubeObject | undefined): boolean {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- an object is JSON
  return before !== after && !equalJson(before as Json | undefined, after as Json | undefined);
}
