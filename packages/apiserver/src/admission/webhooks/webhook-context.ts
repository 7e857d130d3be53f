/** What webhooks need beside other plugins: calls out, names of services, other forms of objects. Types only. */

import type { CallCredentials } from '../../outbound/call-credentials.ts';
import type { ResourceVersions } from './resource-versions.ts';

/** A call out; outbound/https-caller.ts makes them. */
export interface WebhookCaller {
  post(
    target: {
      readonly url: string;
      readonly caBundle: string;
      readonly address?: { readonly host: string; readonly port: number };
      readonly authorization?: string;
      readonly pair?: { readonly cert: string; readonly key: string };
    },
    body: Buffer,
    options: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<{ readonly code: number; readonly body: Buffer }>;
}

/**
 * Where a service's port can be reached.
 *
 * @throws Error saying why it cannot
 */
export type ServiceResolver = (
  namespace: string,
  name: string,
  port: number,
) => Promise<{ readonly host: string; readonly port: number }>;

export interface WebhookContext {
  readonly caller: WebhookCaller;
  /** What a webhook at `host:port` is shown; nothing without. */
  readonly credentials?: (address: string, type: WebhookType) => CallCredentials;
  readonly versions: ResourceVersions;
  readonly uuid: () => string;
  /** Undefined: by the service's name in DNS. See service-resolver.ts for its endpoints. */
  readonly resolve?: ServiceResolver;
  readonly observer?: WebhookObserver;
}

export type WebhookType = 'admit' | 'validating';

/** What is counted; `admission_webhook_*` metrics are made of it. */
export interface WebhookObserver {
  called(call: WebhookCall): void;
  /** A request was refused. */
  rejected(
    call: WebhookCall,
    errorType: 'calling_webhook_error' | 'no_error' | 'apiserver_internal_error',
  ): void;
  /** A call failed, and the request went on. */
  failedOpen(name: string, type: WebhookType): void;
}

export interface WebhookCall {
  readonly name: string;
  readonly type: WebhookType;
  readonly operation: string;
  /** HTTP code of the outcome: 200, the refusal's, or that of the failed call. */
  readonly code: number;
  readonly rejected: boolean;
  readonly seconds: number;
}
