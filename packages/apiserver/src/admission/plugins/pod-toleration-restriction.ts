/**
 * PodTolerationRestriction: pods get the tolerations of their namespace and have none but those it allows.
 *
 * Modelled on Kubernetes' plugin/pkg/admission/podtolerationrestriction.
 */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { notFound } from '../../api/status.ts';
import { JsonSyntaxError, readJson } from '../../codec/json-reader.ts';
import { asObject, parts } from '../../validation/value.ts';
import type { AdmissionAttributes, MutatingPlugin, ValidatingPlugin } from '../admission.ts';
import { isBestEffort } from '../pod-amounts.ts';
import { isPod, specOf, withSpec } from '../pod-parts.ts';
import type { PluginContext } from '../plugin-context.ts';
import { plainError } from '../refusals.ts';
import { getOrLive } from '../resource-lookup.ts';
import { allAllowed, mergeTolerations } from '../tolerations.ts';
import { NAMESPACES } from './namespace-lifecycle.ts';

const DEFAULTS = 'scheduler.alpha.kubernetes.io/defaultTolerations';
const ALLOWED = 'scheduler.alpha.kubernetes.io/tolerationsWhitelist';
/** Who asked for something is not driven off a node that is short of memory by its taint. */
const MEMORY_PRESSURE = {
  key: 'node.kubernetes.io/memory-pressure',
  operator: 'Exists',
  effect: 'NoSchedule',
};

export function podTolerationRestriction({
  lookup,
  settings,
}: PluginContext): MutatingPlugin & ValidatingPlugin {
  /** What the namespace says under an annotation; undefined where it says nothing. */
  const said = async (
    { namespace }: AdmissionAttributes,
    annotation: string,
  ): Promise<readonly JsonObject[] | undefined> => {
    const found = await getOrLive(lookup.of(NAMESPACES), '', namespace);
    if (found === undefined) throw notFound(NAMESPACES, namespace);
    const text = found.metadata.annotations?.[annotation];
    return text === undefined ? undefined : tolerationsIn(text);
  };

  const check = async (attributes: AdmissionAttributes, pod: KubeObject): Promise<void> => {
    const tolerations = parts(specOf(pod), 'tolerations');
    if (tolerations.length === 0) return;
    const own = await said(attributes, ALLOWED);
    const allowed = own ?? settings.tolerations?.whitelist ?? [];
    if (allAllowed(tolerations, allowed)) return;
    throw plainError(
      `pod tolerations (possibly merged with namespace default tolerations) conflict with its ${own === undefined ? 'cluster' : 'namespace'} whitelist`,
    );
  };

  return {
    name: 'PodTolerationRestriction',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    async admit(attributes) {
      const { object, operation } = attributes;
      if (object === undefined || !isPod(attributes)) return object;
      let extra: readonly JsonObject[] = [];
      if (operation === 'CREATE') {
        extra = (await said(attributes, DEFAULTS)) ?? settings.tolerations?.default ?? [];
      }
      if (!isBestEffort(object)) extra = [...extra, MEMORY_PRESSURE];
      const pod =
        extra.length === 0
          ? object
          : withSpec(object, 'tolerations', mergeTolerations(parts(specOf(object), 'tolerations'), extra));
      await check(attributes, pod);
      return pod;
    },
    async validate(attributes) {
      const { object } = attributes;
      if (object !== undefined && isPod(attributes)) await check(attributes, object);
    },
  };
}

function tolerationsIn(text: string): readonly JsonObject[] {
  if (text === '') return [];
  try {
    const value = readJson(text);
    if (!Array.isArray(value)) throw new JsonSyntaxError('a list of tolerations is expected');
    return value.map((each) => asObject(each) ?? {});
  } catch (error) {
    if (error instanceof JsonSyntaxError) throw plainError(error.message);
    throw error;
  }
}
