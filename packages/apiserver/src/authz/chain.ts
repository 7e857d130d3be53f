/**
 * The authorizers in their order: members of system:masters pass first, then the modes the server was started
 * with; the first that allows or denies decides, and none at all means no.
 *
 * Modelled on apiserver's union authorizer and the modes of --authorization-mode. Webhooks are given as
 * authorizers; where they come from is not known here.
 */

import {
  GROUP_MASTERS,
  type AuthorizationAttributes,
  type Authorizer,
  type Decision,
  type UserInfo,
} from '../api/user-info.ts';
import { EVERYTHING, joinRules, NO_RULES, type RuleResolver, type UserRules } from './user-rules.ts';

export interface ModeLabel {
  /** `RBAC`, `Webhook`. */
  readonly type: string;
  /** Its own among those of the type: `rbac`, what a file calls it. */
  readonly name: string;
}

/** Told who decided. */
export interface ChainObserver {
  decided(by: ModeLabel, kind: 'allow' | 'deny'): void;
}

/** A mode with what it can tell of a user's rules; one that cannot tell says so in their errors. */
export interface Mode {
  /** How metrics call it. */
  readonly label?: ModeLabel;
  readonly authorizer: Authorizer;
  readonly rules: RuleResolver;
}

const NOTHING: RuleResolver = {
  rulesFor: () => NO_RULES,
};

/** Allows whatever is asked. */
export const ALWAYS_ALLOW: Mode = {
  label: { type: 'AlwaysAllow', name: 'alwaysallow' },
  authorizer: { authorize: () => Promise.resolve({ kind: 'allow', reason: '' }) },
  rules: EVERYTHING,
};

/** Has no opinion on anything, which is a no at the end of the chain. */
export const ALWAYS_DENY: Mode = {
  authorizer: {
    authorize: () => Promise.resolve({ kind: 'no-opinion', reason: 'Everything is forbidden.' }),
  },
  rules: NOTHING,
};

export class AuthorizerChain implements Authorizer, RuleResolver {
  private modes: readonly Mode[];
  private readonly observer: ChainObserver | undefined;

  /** @param modes in the order they are asked */
  constructor(modes: readonly Mode[], observer?: ChainObserver) {
    this.modes = modes;
    this.observer = observer;
  }

  /** From now on these are asked; what is being decided goes on with those it began with. */
  use(modes: readonly Mode[]): void {
    this.modes = modes;
  }

  /** Reasons and errors of those without an opinion are joined by line ends. */
  async authorize(attributes: AuthorizationAttributes): Promise<Decision> {
    if (attributes.user.groups.includes(GROUP_MASTERS)) return { kind: 'allow', reason: '' };
    const reasons: string[] = [];
    const errors: string[] = [];
    for (const { authorizer, label } of this.modes) {
      const decision = await authorizer.authorize(attributes);
      if (decision.reason !== '') reasons.push(decision.reason);
      if (decision.error !== undefined) errors.push(decision.error);
      if (decision.kind === 'no-opinion') continue;
      if (label !== undefined) this.observer?.decided(label, decision.kind);
      return decision;
    }
    return {
      kind: 'no-opinion',
      reason: reasons.join('\n'),
      ...(errors.length === 0 ? {} : { error: errors.join('\n') }),
    };
  }

  rulesFor(user: UserInfo, namespace: string): UserRules {
    return joinRules(
      this.modes.map((mode) => mode.rules),
      user,
      namespace,
    );
  }
}
