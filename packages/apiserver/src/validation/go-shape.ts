/**
 * Values as messages of the original show them where it holds a type of its own: members under their Go names, in
 * Go's order, what is absent as Go's zero. Knows the few types whose values stand in texts.
 */

import type { JsonObject } from '../api/json.ts';
import { flag, has, parts, part, partOf, text, type Fields } from './value.ts';

/** One member: what it is called in JSON, and how it is shown. */
type Member = (of: Fields) => unknown;

const pointer =
  (name: string): Member =>
  (of) =>
    of[name] ?? null;
const word =
  (name: string): Member =>
  (of) =>
    text(of, name);
const inner =
  (name: string, shape: (of: JsonObject) => unknown): Member =>
  (of) => {
    const value = partOf(of, name);
    return value === undefined ? null : shape(value);
  };
const list =
  (name: string, shape: (of: JsonObject) => unknown): Member =>
  (of) =>
    has(of, name) ? parts(of, name).map(shape) : null;

function shaped(members: Readonly<Record<string, Member>>): (of: Fields) => Record<string, unknown> {
  return (of) => Object.fromEntries(Object.entries(members).map(([name, member]) => [name, member(of)]));
}

export const shownTaint = shaped({
  Key: word('key'),
  Value: word('value'),
  Effect: word('effect'),
  TimeAdded: pointer('timeAdded'),
});

export const shownPodClaim = shaped({
  Name: word('name'),
  ResourceClaimName: pointer('resourceClaimName'),
  ResourceClaimTemplateName: pointer('resourceClaimTemplateName'),
});

/** Seccomp's and AppArmor's are alike. */
export const shownProfile = shaped({ Type: word('type'), LocalhostProfile: pointer('localhostProfile') });

export const shownTrustBundle = shaped({
  Name: pointer('name'),
  SignerName: pointer('signerName'),
  LabelSelector: pointer('labelSelector'),
  Optional: pointer('optional'),
  Path: word('path'),
});

const shownSELinux = shaped({
  User: word('user'),
  Role: word('role'),
  Type: word('type'),
  Level: word('level'),
});
const shownWindows = shaped({
  GMSACredentialSpecName: pointer('gmsaCredentialSpecName'),
  GMSACredentialSpec: pointer('gmsaCredentialSpec'),
  RunAsUserName: pointer('runAsUserName'),
  HostProcess: pointer('hostProcess'),
});
const shownCapabilities = shaped({ Add: pointer('add'), Drop: pointer('drop') });

/** A container's. */
export const shownSecurityContext = shaped({
  Capabilities: inner('capabilities', shownCapabilities),
  Privileged: pointer('privileged'),
  SELinuxOptions: inner('seLinuxOptions', shownSELinux),
  WindowsOptions: inner('windowsOptions', shownWindows),
  RunAsUser: pointer('runAsUser'),
  RunAsGroup: pointer('runAsGroup'),
  RunAsNonRoot: pointer('runAsNonRoot'),
  ReadOnlyRootFilesystem: pointer('readOnlyRootFilesystem'),
  AllowPrivilegeEscalation: pointer('allowPrivilegeEscalation'),
  ProcMount: pointer('procMount'),
  SeccompProfile: inner('seccompProfile', shownProfile),
  AppArmorProfile: inner('appArmorProfile', shownProfile),
});

const shownRequirement = shaped({
  Key: word('key'),
  Operator: word('operator'),
  Values: pointer('values'),
});

export const shownNodeTerm = shaped({
  MatchExpressions: list('matchExpressions', shownRequirement),
  MatchFields: list('matchFields', shownRequirement),
});

/** VolumeNodeAffinity. */
export function shownVolumeAffinity(affinity: JsonObject): unknown {
  const required = partOf(affinity, 'required');
  return {
    Required:
      required === undefined
        ? null
        : { NodeSelectorTerms: parts(required, 'nodeSelectorTerms').map(shownNodeTerm) },
  };
}

/** Whether a container or its pod says that it runs as the host's process on Windows; undefined: it does not say. */
export function hostProcessOf(of: Fields): boolean | undefined {
  const options = part(part(of, 'securityContext'), 'windowsOptions');
  return has(options, 'hostProcess') ? flag(options, 'hostProcess') : undefined;
}
