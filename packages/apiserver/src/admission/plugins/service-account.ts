/**
 * ServiceAccount: each pod runs as an account of its namespace that exists, with its token mounted and its pull
 * secrets, and names no secrets an account does not have that says so.
 *
 * Modelled on Kubernetes' plugin/pkg/admission/serviceaccount.
 */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { notFound } from '../../api/status.ts';
import { has, part, parts, text, textMap, withField } from '../../validation/value.ts';
import type { AdmissionAttributes, MutatingPlugin, ValidatingPlugin } from '../admission.ts';
import { pause } from '../pause.ts';
import {
  isMirrorPod,
  isPod,
  namesSecrets,
  projections,
  specOf,
  withContainers,
  withSpec,
} from '../pod-parts.ts';
import type { PluginContext } from '../plugin-context.ts';
import { refusal, textOf } from '../refusals.ts';

const SERVICE_ACCOUNTS = { group: '', resource: 'serviceaccounts' };
const DEFAULT_ACCOUNT = 'default';
const TOKEN_VOLUME = 'kube-api-access-';
const TOKEN_PATH = '/var/run/secrets/kubernetes.io/serviceaccount';
/** One hour and a bit: a library that never reads its token again is noticed by that number. */
const TOKEN_SECONDS = 3_607;
const ENFORCE_SECRETS = 'kubernetes.io/enforce-mountable-secrets';
/** The default account is made by a controller, a moment after its namespace. */
const ATTEMPTS_DEFAULT = 10;
const ATTEMPT_MS = 100;
/** No vowels and nothing that looks like another letter. */
const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';
const SUFFIX_LENGTH = 5;

export function serviceAccount({ lookup, clock, random }: PluginContext): MutatingPlugin & ValidatingPlugin {
  const accountNamed = async (attributes: AdmissionAttributes, name: string): Promise<KubeObject> => {
    const { namespace, signal } = attributes;
    try {
      const accounts = lookup.of(SERVICE_ACCOUNTS);
      const cached = await accounts?.get(namespace, name);
      if (cached !== undefined) return cached;
      const attempts = name === DEFAULT_ACCOUNT ? ATTEMPTS_DEFAULT : 1;
      const delayMs = ATTEMPT_MS + random(ATTEMPT_MS);
      for (let attempt = 0; attempt < attempts; attempt += 1) {
        if (attempt > 0) await pause(clock, delayMs, signal);
        const live = await accounts?.live(namespace, name);
        if (live !== undefined) return live;
      }
      throw notFound({ group: '', resource: 'serviceaccount' }, name);
    } catch (error) {
      signal.throwIfAborted();
      throw refusal(attributes, `error looking up service account ${namespace}/${name}: ${textOf(error)}`);
    }
  };

  const validate = async (attributes: AdmissionAttributes): Promise<void> => {
    const { object: pod, operation, namespace } = attributes;
    if (pod === undefined) return;
    const ephemeral = operation === 'UPDATE' && isPod(attributes, 'ephemeralcontainers');
    if (!ephemeral && !(operation === 'CREATE' && isPod(attributes))) return;
    if (!ephemeral && isMirrorPod(pod)) return checkMirrorPod(attributes, pod);
    const name = text(specOf(pod), 'serviceAccountName');
    if (name === '') {
      throw refusal(
        attributes,
        `no service account specified for pod ${namespace}/${pod.metadata.name ?? ''}`,
      );
    }
    const account = await accountNamed(attributes, name);
    if (!enforcesSecrets(account)) return;
    const problem = ephemeral
      ? environmentProblem(account, specOf(pod), 'ephemeralContainers', 'ephemeral container')
      : secretProblem(account, specOf(pod));
    if (problem !== undefined) throw refusal(attributes, problem);
  };

  return {
    name: 'ServiceAccount',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    async admit(attributes) {
      const { object, operation } = attributes;
      if (object === undefined || operation !== 'CREATE' || !isPod(attributes)) return object;
      if (isMirrorPod(object)) {
        await validate(attributes);
        return object;
      }
      const name = text(specOf(object), 'serviceAccountName') || DEFAULT_ACCOUNT;
      // The older name of the field says the same.
      let pod = withSpec(withSpec(object, 'serviceAccountName', name), 'serviceAccount', name);
      const account = await accountNamed(attributes, name);
      if (mountsToken(account, specOf(pod))) pod = withToken(pod, random);
      const pullSecrets = parts(account, 'imagePullSecrets').map((secret) => ({
        name: text(secret, 'name'),
      }));
      if (parts(specOf(pod), 'imagePullSecrets').length === 0 && pullSecrets.length > 0) {
        pod = withSpec(pod, 'imagePullSecrets', pullSecrets);
      }
      await validate({ ...attributes, object: pod });
      return pod;
    },
    validate,
  };
}

function checkMirrorPod(attributes: AdmissionAttributes, pod: KubeObject): void {
  const spec = specOf(pod);
  if (text(spec, 'serviceAccountName') !== '') {
    throw refusal(attributes, 'a mirror pod may not reference service accounts');
  }
  if (namesSecrets(pod)) throw refusal(attributes, 'a mirror pod may not reference secrets');
  const projected = parts(spec, 'volumes').flatMap((volume) => projections(volume));
  if (projected.some((source) => has(source, 'serviceAccountToken'))) {
    throw refusal(attributes, 'a mirror pod may not use ServiceAccountToken volume projections');
  }
}

// --- The token -----------------------------------------------------------------------------------------------

/** The pod's wish counts before the account's; without one the token is mounted. */
function mountsToken(account: KubeObject, spec: JsonObject): boolean {
  const field = 'automountServiceAccountToken';
  if (has(spec, field)) return spec[field] === true;
  return !has(account, field) || account[field] === true;
}

function withToken(pod: KubeObject, random: (limit: number) => number): KubeObject {
  const volumes = parts(specOf(pod), 'volumes');
  const there = volumes.find((volume) => text(volume, 'name').startsWith(TOKEN_VOLUME));
  const name = there === undefined ? `${TOKEN_VOLUME}${suffix(random)}` : text(there, 'name');
  const mount = { name, readOnly: true, mountPath: TOKEN_PATH };
  const mounted = withContainers(pod, ['initContainers', 'containers'], (container) => {
    const mounts = parts(container, 'volumeMounts');
    // Who mounts something there himself does not want the token.
    return mounts.some((each) => text(each, 'mountPath') === TOKEN_PATH)
      ? container
      : withField(container, 'volumeMounts', [...mounts, mount]);
  });
  if (there !== undefined || mounted === pod) return mounted;
  return withSpec(mounted, 'volumes', [...volumes, tokenVolume(name)]);
}

function suffix(random: (limit: number) => number): string {
  let text = '';
  while (text.length < SUFFIX_LENGTH) text += ALPHABET[random(ALPHABET.length)];
  return text;
}

function tokenVolume(name: string): JsonObject {
  return {
    name,
    projected: {
      sources: [
        { serviceAccountToken: { expirationSeconds: TOKEN_SECONDS, path: 'token' } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        {
          downwardAPI: {
            items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
          },
        },
      ],
      defaultMode: 420,
    },
  };
}

// --- Secrets -------------------------------------------------------------------------------------------------

function enforcesSecrets(account: KubeObject): boolean {
  const value = textMap(part(account, 'metadata'), 'annotations')[ENFORCE_SECRETS] ?? '';
  return ['1', 't', 'T', 'TRUE', 'true', 'True'].includes(value);
}

function secretProblem(account: KubeObject, spec: JsonObject): string | undefined {
  const mountable = names(account, 'secrets');
  const who = account.metadata.name ?? '';
  for (const volume of parts(spec, 'volumes')) {
    if (!has(volume, 'secret')) continue;
    const secret = text(part(volume, 'secret'), 'secretName');
    if (!mountable.has(secret)) {
      return `volume with secret.secretName="${secret}" is not allowed because service account ${who} does not reference that secret`;
    }
  }
  const problem =
    environmentProblem(account, spec, 'initContainers', 'init container') ??
    environmentProblem(account, spec, 'containers', 'container');
  if (problem !== undefined) return problem;
  const pullable = names(account, 'imagePullSecrets');
  for (const [index, secret] of parts(spec, 'imagePullSecrets').entries()) {
    const name = text(secret, 'name');
    if (!pullable.has(name)) {
      return `imagePullSecrets[${index}].name="${name}" is not allowed because service account ${who} does not reference that imagePullSecret`;
    }
  }
  return undefined;
}

function environmentProblem(
  account: KubeObject,
  spec: JsonObject,
  list: string,
  word: string,
): string | undefined {
  const mountable = names(account, 'secrets');
  const who = account.metadata.name ?? '';
  for (const container of parts(spec, list)) {
    const name = text(container, 'name');
    for (const variable of parts(container, 'env')) {
      const source = part(variable, 'valueFrom');
      if (!has(source, 'secretKeyRef')) continue;
      const secret = text(part(source, 'secretKeyRef'), 'name');
      if (!mountable.has(secret)) {
        return `${word} ${name} with envVar ${text(variable, 'name')} referencing secret.secretName="${secret}" is not allowed because service account ${who} does not reference that secret`;
      }
    }
    for (const source of parts(container, 'envFrom')) {
      if (!has(source, 'secretRef')) continue;
      const secret = text(part(source, 'secretRef'), 'name');
      if (!mountable.has(secret)) {
        return `${word} ${name} with envFrom referencing secret.secretName="${secret}" is not allowed because service account ${who} does not reference that secret`;
      }
    }
  }
  return undefined;
}

function names(account: KubeObject, list: string): ReadonlySet<string> {
  return new Set(parts(account, list).map((reference) => text(reference, 'name')));
}
