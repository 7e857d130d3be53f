/**
 * MutatingAdmissionWebhook: servers that are asked about a write, one after the other, and may change the object. One
 * that wants to is asked once more when somebody behind it, or a plugin in the second round, changed the object again.
 *
 * Modelled on apiserver's admission/plugin/webhook/mutating.
 */

import { equalJson } from '../../api/equal.ts';
import type { Json, JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { ApiError, internalError, timeout } from '../../api/status.ts';
import { JsonSyntaxError, readJson } from '../../codec/json-reader.ts';
import { writeJson } from '../../codec/json-writer.ts';
import { asJson } from '../../codec/object-codec.ts';
import { TypedError } from '../../codec/typed.ts';
import { jsonPatch, JsonPatchError } from '../../patch/json-patch.ts';
import type { AdmissionAttributes, MutatingPlugin, MutationPass } from '../admission.ts';
import type { PluginContext } from '../plugin-context.ts';
import { textOf } from '../refusals.ts';
import { callWebhook, CallFailed } from '../webhooks/call-webhook.ts';
import { isExempt, type Invocation } from '../webhooks/match.ts';
import { WebhookChoice } from '../webhooks/choose.ts';
import type { Review } from '../webhooks/review.ts';
import { WebhookReader } from '../webhooks/webhook.ts';
import type { WebhookContext } from '../webhooks/webhook-context.ts';
import { watched } from '../webhooks/observe.ts';

const CONFIGURATIONS = { group: 'admissionregistration.k8s.io', resource: 'mutatingwebhookconfigurations' };
const MUTATION = 'mutation.webhook.admission.k8s.io/';
const PATCH = 'patch.webhook.admission.k8s.io/';

/** What one request remembers between its rounds. */
interface Rounds {
  /** The object as this plugin left it. */
  output: KubeObject | undefined;
  /** Webhooks that were asked and want to be again if something changes behind them. */
  readonly waiting: Set<string>;
  /** Webhooks that are to be asked in the second round. */
  readonly due: Set<string>;
}

export function mutatingAdmissionWebhook(context: PluginContext): MutatingPlugin | undefined {
  const { lookup, webhooks } = context;
  if (webhooks === undefined) return undefined;
  const reader = new WebhookReader();
  const choice = new WebhookChoice(context, webhooks, 'admit');
  const rounds = new WeakMap<object, Rounds>();

  return {
    name: 'MutatingAdmissionWebhook',
    handles: () => true,
    async admit(attributes, pass) {
      if (isExempt(attributes)) return attributes.object;
      const configured = reader.read((await lookup.of(CONFIGURATIONS)?.list('')) ?? []);
      if (configured.length === 0) return attributes.object;
      const round = roundOf(rounds, pass);
      if (pass.again && !sameObject(round.output, attributes.object)) makeDue(round);
      let current = attributes;
      for (const [index, webhook] of configured.entries()) {
        const invocation = await choice.chosen(webhook, current);
        // A webhook is not asked for the first time in the second round.
        if (invocation === undefined || (pass.again && !round.due.has(webhook.id))) continue;
        const next = await ask(context, webhooks, invocation, current, { index, again: pass.again });
        if (next !== current.object) {
          makeDue(round);
          pass.repeat();
          current = { ...current, object: next };
        }
        if (webhook.reinvoked) round.waiting.add(webhook.id);
      }
      round.output = current.object;
      return current.object;
    },
  };
}

function roundOf(rounds: WeakMap<object, Rounds>, { request }: MutationPass): Rounds {
  const known = rounds.get(request);
  if (known !== undefined) return known;
  const fresh: Rounds = { output: undefined, waiting: new Set(), due: new Set() };
  rounds.set(request, fresh);
  return fresh;
}

/** Something changed: those that were asked before it are to be asked again. */
function makeDue({ waiting, due }: Rounds): void {
  for (const id of waiting) due.add(id);
  waiting.clear();
}

function sameObject(a: KubeObject | undefined, b: KubeObject | undefined): boolean {
  return a === b || equalJson(a && asJson(a), b && asJson(b));
}

interface Place {
  readonly index: number;
  readonly again: boolean;
}

/** The object after the webhook's patch; the same one where it changes nothing, or failed and may. */
async function ask(
  context: PluginContext,
  webhooks: WebhookContext,
  invocation: Invocation,
  attributes: AdmissionAttributes,
  place: Place,
): Promise<KubeObject | undefined> {
  const { webhook } = invocation;
  const { versions } = webhooks;
  const { object, oldObject } = attributes;
  const round = `round_${place.again ? 1 : 0}_index_${place.index}`;
  let changed = false;
  try {
    return await watched(webhooks.observer, context.clock, webhook, attributes, 'admit', async () => {
      const shown = object && versions.show(object, invocation);
      const review = await callWebhook(webhooks, {
        invocation,
        attributes,
        object: shown,
        oldObject: oldObject && versions.show(oldObject, invocation),
        mutating: true,
      });
      const operations = operationsOf(webhook.name, review);
      if (operations.length === 0) return object;
      const patched = patchedObject(webhook.name, shown, operations);
      const annotation = { configuration: webhook.configuration, webhook: webhook.name };
      attributes.annotate(
        `${PATCH}${round}`,
        writeJson({ ...annotation, patch: [...operations], patchType: 'JSONPatch' }),
      );
      const next = taken(versions, patched, invocation);
      changed = !sameObject(object, next);
      return changed ? next : object;
    });
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error;
    // The request's own end is no failure of the webhook's.
    if (attributes.signal.aborted) throw timeout('request did not complete within requested timeout', 0);
    if (webhook.failurePolicy === 'Fail') throw internalError(error);
    webhooks.observer?.failedOpen(webhook.name, 'admit');
    attributes.annotate(`failed-open.${MUTATION}${round}`, webhook.name);
    return object;
  } finally {
    attributes.annotate(
      `${MUTATION}${round}`,
      writeJson({ configuration: webhook.configuration, webhook: webhook.name, mutated: changed }),
    );
  }
}

/** @throws CallFailed a patch that cannot be read */
function operationsOf(name: string, { patch, patchType }: Review): readonly Json[] {
  if (patch === undefined) return [];
  try {
    const operations = readJson(patch.toString('utf8'));
    if (Array.isArray(operations)) {
      if (patchType === 'JSONPatch') return operations;
      throw new CallFailed(name, `unsupported patch type ${JSON.stringify(patchType)}`, 400);
    }
    throw new JsonSyntaxError('json: cannot unmarshal object into Go value of type jsonpatch.Patch');
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    throw new CallFailed(name, `received undecodable patch in webhook response: ${error.message}`, 503, {
      cause: error,
    });
  }
}

/** @throws ApiError InternalError, whatever the failure policy: the webhook answered, and wrongly */
function patchedObject(name: string, object: KubeObject | undefined, operations: readonly Json[]): Json {
  if (object === undefined) {
    throw internalError(
      `admission webhook ${JSON.stringify(name)} attempted to modify the object, which is not supported for this operation`,
    );
  }
  try {
    return jsonPatch(asJson(object), operations);
  } catch (error) {
    if (error instanceof JsonPatchError) throw internalError(error);
    throw error;
  }
}

function taken(versions: WebhookContext['versions'], patched: Json, invocation: Invocation): KubeObject {
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- take() looks at each member
    return versions.take(patched as JsonObject, invocation);
  } catch (error) {
    if (error instanceof ApiError) throw error;
    if (error instanceof TypedError) throw internalError(textOf(error));
    throw error;
  }
}
