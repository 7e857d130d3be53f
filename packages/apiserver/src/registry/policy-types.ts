/** The types of what a scheme serves, for checking policies against them. */

import type { PolicyTypes } from '../admission/policies/type-check.ts';
import { declareType } from '../cel/declarations.ts';
import type { Scheme, Served } from './scheme.ts';

export function policyTypes(scheme: Scheme): PolicyTypes {
  const servedAs = (group: string, version: string, kind: string): Served | undefined => {
    for (const each of scheme.served()) {
      if (each.kind === kind && each.definition.group === group && each.version.version === version)
        return each;
    }
    return undefined;
  };
  return {
    kindOf({ group, version, resource }) {
      const served = scheme.find(group, version, resource);
      return served && { group, version, kind: served.kind };
    },
    declaration({ group, version, kind }) {
      const served = servedAs(group, version, kind);
      return served && declareType(served.schema, kind);
    },
  };
}
