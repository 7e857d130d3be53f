/** Probes, life-cycle hooks and the actions both are made of. Texts as upstream's core validation. */

import type { JsonObject } from '../api/json.ts';
import type { FieldErrors } from './field-errors.ts';
import type { FieldPath } from './field-path.ts';
import { headerNameErrors, portNumberErrors } from './names.ts';
import { checkNotNegative, checkPort, checkPositive } from './scalars.ts';
import { count, countOf, has, part, partOf, parts, text, texts } from './value.ts';

type ProbeName = 'livenessProbe' | 'readinessProbe' | 'startupProbe';

/** @param podGraceSeconds the pod's terminationGracePeriodSeconds */
export function checkProbe(errors: FieldErrors, path: FieldPath, probe: JsonObject, name: ProbeName): void {
  checkHandler(errors, path, probe, true);
  for (const field of [
    'initialDelaySeconds',
    'timeoutSeconds',
    'periodSeconds',
    'successThreshold',
    'failureThreshold',
  ]) {
    checkNotNegative(errors, path.child(field), count(probe, field));
  }
  const grace = countOf(probe, 'terminationGracePeriodSeconds');
  if (name === 'readinessProbe') {
    if (grace !== undefined) {
      errors.invalid(
        path.child('terminationGracePeriodSeconds'),
        grace,
        'must not be set for readinessProbes',
      );
    }
    return;
  }
  checkPositive(errors, path.child('terminationGracePeriodSeconds'), grace);
  if (count(probe, 'successThreshold') !== 1) {
    errors.invalid(path.child('successThreshold'), count(probe, 'successThreshold'), 'must be 1');
  }
}

/** The one action of a probe or of a hook. */
function checkHandler(errors: FieldErrors, path: FieldPath, handler: JsonObject, isProbe: boolean): void {
  let actions = 0;
  const act = (name: string, check: (at: FieldPath, action: JsonObject) => void): void => {
    const action = partOf(handler, name);
    if (action === undefined) return;
    actions += 1;
    if (actions > 1) errors.forbidden(path.child(name), 'may not specify more than 1 handler type');
    else check(path.child(name), action);
  };
  act('exec', (at, action) => {
    if (texts(action, 'command').length === 0) errors.required(at.child('command'));
  });
  act('httpGet', (at, action) => {
    if (text(action, 'path') === '') errors.required(at.child('path'));
    checkPort(errors, at.child('port'), action['port']);
    const scheme = text(action, 'scheme');
    if (scheme !== 'HTTP' && scheme !== 'HTTPS')
      errors.notSupported(at.child('scheme'), scheme, ['HTTP', 'HTTPS']);
    for (const [index, header] of parts(action, 'httpHeaders').entries()) {
      const name = text(header, 'name');
      errors.invalids(at.child('httpHeaders').index(index).child('name'), name, headerNameErrors(name));
    }
  });
  act('tcpSocket', (at, action) => {
    checkPort(errors, at.child('port'), action['port']);
  });
  if (isProbe) {
    act('grpc', (at, action) => {
      errors.invalids(at.child('port'), count(action, 'port'), portNumberErrors(count(action, 'port')));
    });
  } else {
    act('sleep', (at, action) => {
      if (count(action, 'seconds') < 0) {
        errors.invalid(at, count(action, 'seconds'), 'must be non-negative');
      }
    });
  }
  if (actions === 0) errors.required(path, 'must specify a handler type');
}

const STOP_SIGNALS = /^SIG[A-Z0-9+-]+$/;

export function checkLifecycle(
  errors: FieldErrors,
  path: FieldPath,
  lifecycle: JsonObject,
  podGraceSeconds: number | undefined,
  osName: string,
): void {
  for (const name of ['postStart', 'preStop']) {
    const handler = partOf(lifecycle, name);
    if (handler === undefined) continue;
    checkHandler(errors, path.child(name), handler, false);
    const sleep = partOf(handler, 'sleep');
    if (sleep !== undefined && podGraceSeconds !== undefined && count(sleep, 'seconds') > podGraceSeconds) {
      errors.invalid(
        path.child(name, 'sleep'),
        count(sleep, 'seconds'),
        `must be non-negative and less than or equal to terminationGracePeriodSeconds (${podGraceSeconds})`,
      );
    }
  }
  if (has(lifecycle, 'stopSignal')) {
    const signal = text(lifecycle, 'stopSignal');
    if (osName === '') {
      errors.forbidden(path.child('stopSignal'), 'may not be set for containers with empty `spec.os.name`');
    } else if (osName === 'windows' && signal !== 'SIGTERM' && signal !== 'SIGKILL') {
      errors.notSupported(path.child('stopSignal'), signal, ['SIGKILL', 'SIGTERM']);
    } else if (!STOP_SIGNALS.test(signal)) errors.notSupported(path.child('stopSignal'), signal, []);
  }
}

/** What only containers that stay may have. */
export const PROBE_NAMES: readonly ProbeName[] = ['livenessProbe', 'readinessProbe', 'startupProbe'];

/** The probes and hooks of a container that has them all. */
export function checkProbesAndHooks(
  errors: FieldErrors,
  path: FieldPath,
  container: JsonObject,
  podGraceSeconds: number | undefined,
  osName: string,
): void {
  if (has(container, 'lifecycle')) {
    checkLifecycle(errors, path.child('lifecycle'), part(container, 'lifecycle'), podGraceSeconds, osName);
  }
  for (const name of PROBE_NAMES) {
    const probe = partOf(container, name);
    if (probe !== undefined) checkProbe(errors, path.child(name), probe, name);
  }
}
