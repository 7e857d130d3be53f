/** Probes, life-cycle hooks and the actions both are made of. Texts as upstream's core validation. */

import type { JsonObject } from '../api/json.ts';
import type { FieldErrors } from './field-errors.ts';
import type { FieldPath } from './field-path.ts';
import { headerNameErrors, portNumberErrors } from './names.ts';
import { checkNotNegative, checkPort, checkPositive } from './scalars.ts';
import { count, countOf, has, part, partOf, parts, text, textOf, texts } from './value.ts';

type ProbeName = 'livenessProbe' | 'readinessProbe' | 'startupProbe';

function checkProbe(errors: FieldErrors, path: FieldPath, probe: JsonObject, name: ProbeName): void {
  checkHandler(errors, path, probe, undefined, true);
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
  checkPositive(errors, path.child('terminationGracePeriodSeconds'), grace);
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
  if (count(probe, 'successThreshold') !== 1) {
    errors.invalid(path.child('successThreshold'), count(probe, 'successThreshold'), 'must be 1');
  }
}

/** The one action of a probe or of a hook. @param podGraceSeconds the pod's terminationGracePeriodSeconds */
function checkHandler(
  errors: FieldErrors,
  path: FieldPath,
  handler: JsonObject,
  podGraceSeconds: number | undefined,
  isProbe: boolean,
): void {
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
    checkPort(errors, at.child('port'), action['port']);
    const scheme = text(action, 'scheme');
    if (scheme !== 'HTTP' && scheme !== 'HTTPS')
      errors.notSupported(at.child('scheme'), scheme, ['HTTP', 'HTTPS']);
    for (const header of parts(action, 'httpHeaders')) {
      const name = text(header, 'name');
      errors.invalids(at.child('httpHeaders'), name, headerNameErrors(name));
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
      const seconds = count(action, 'seconds');
      // A pod without a grace period is told of that.
      if (podGraceSeconds === undefined || (seconds >= 0 && seconds <= podGraceSeconds)) return;
      const why = `must be non-negative and less than terminationGracePeriodSeconds (${podGraceSeconds})`;
      errors.invalid(at, seconds, why);
    });
  }
  if (actions === 0) errors.required(path, 'must specify a handler type');
}

const WINDOWS_SIGNALS: readonly string[] = ['SIGKILL', 'SIGTERM'];
const LINUX_SIGNALS: readonly string[] = [
  'SIGABRT SIGALRM SIGBUS SIGCHLD SIGCLD SIGCONT SIGFPE SIGHUP SIGILL SIGINT SIGIO SIGIOT SIGKILL SIGPIPE',
  'SIGPOLL SIGPROF SIGPWR SIGQUIT SIGRTMAX SIGRTMAX-1 SIGRTMAX-10 SIGRTMAX-11 SIGRTMAX-12 SIGRTMAX-13',
  'SIGRTMAX-14 SIGRTMAX-2 SIGRTMAX-3 SIGRTMAX-4 SIGRTMAX-5 SIGRTMAX-6 SIGRTMAX-7 SIGRTMAX-8 SIGRTMAX-9',
  'SIGRTMIN SIGRTMIN+1 SIGRTMIN+10 SIGRTMIN+11 SIGRTMIN+12 SIGRTMIN+13 SIGRTMIN+14 SIGRTMIN+15 SIGRTMIN+2',
  'SIGRTMIN+3 SIGRTMIN+4 SIGRTMIN+5 SIGRTMIN+6 SIGRTMIN+7 SIGRTMIN+8 SIGRTMIN+9 SIGSEGV SIGSTKFLT SIGSTOP',
  'SIGSYS SIGTERM SIGTRAP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGUSR1 SIGUSR2 SIGVTALRM SIGWINCH SIGXCPU SIGXFSZ',
].flatMap((names) => names.split(' '));

function checkLifecycle(
  errors: FieldErrors,
  path: FieldPath,
  lifecycle: JsonObject,
  podGraceSeconds: number | undefined,
  osName: string,
): void {
  for (const name of ['postStart', 'preStop']) {
    const handler = partOf(lifecycle, name);
    if (handler === undefined) continue;
    checkHandler(errors, path.child(name), handler, podGraceSeconds, false);
  }
  const signal = textOf(lifecycle, 'stopSignal');
  if (signal === undefined) return;
  const at = path.child('stopSignal');
  if (osName === '') {
    errors.forbidden(at, 'may not be set for containers with empty `spec.os.name`');
    return;
  }
  const signals = osName === 'windows' ? WINDOWS_SIGNALS : LINUX_SIGNALS;
  if (!signals.includes(signal)) errors.notSupported(at, signal, signals);
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
