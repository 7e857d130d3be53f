/** CronJob: a job at each time of a schedule. */

import type { JsonObject } from '../../api/json.ts';
import { scheduleError, timeZoneErrors } from '../../validation/cron.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import { tooLongText } from '../../validation/names.ts';
import { hostnameWarnings, templateWarnings } from '../../validation/pod-warnings.ts';
import { checkEnum, checkNotNegative } from '../../validation/scalars.ts';
import { countOf, flag, has, part, same, text } from '../../validation/value.ts';
import { defineKind, METADATA, SPEC } from '../kinds/kind.ts';
import { checkJobSpec } from './job-spec.ts';

/** A job's name is the cron job's with eleven characters behind it, and is a label. */
const NAME_LENGTH_MAX = 52;

export const cronJobs = defineKind({
  group: 'batch',
  types: 'batch',
  resource: 'cronjobs',
  kind: 'CronJob',
  scope: 'Namespaced',
  shortNames: ['cj'],
  categories: ['all'],
  checks: {
    generation: ['spec'],
    podSpecAt: ['spec', 'jobTemplate', 'spec', 'template', 'spec'],
    prepareForCreate: (object) => ({ ...object, status: {} }),
    checkCreate(errors, object) {
      checkCronJob(errors, part(object, 'spec'), undefined);
      const name = object.metadata.name ?? '';
      if (name.length > NAME_LENGTH_MAX)
        errors.invalid(METADATA.child('name'), name, tooLongText(NAME_LENGTH_MAX));
    },
    check: () => undefined,
    checkUpdate(errors, object, old) {
      checkCronJob(errors, part(object, 'spec'), part(old, 'spec'));
    },
    warnings(object, old) {
      const warnings = old === undefined ? hostnameWarnings(object) : [];
      warnings.push(...templateWarnings(SPEC.child('jobTemplate', 'spec', 'template'), object, old));
      // A new one is refused.
      if (old !== undefined && text(part(object, 'spec'), 'schedule').includes('TZ')) {
        warnings.push(
          'cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details',
        );
      }
      return warnings;
    },
    status: {},
  },
});

function checkCronJob(errors: FieldErrors, spec: JsonObject, before: JsonObject | undefined): void {
  checkSchedule(errors, spec, before);
  checkNotNegative(errors, SPEC.child('startingDeadlineSeconds'), countOf(spec, 'startingDeadlineSeconds'));
  if (has(spec, 'timeZone') && (before === undefined || !same(spec['timeZone'], before['timeZone']))) {
    const zone = text(spec, 'timeZone');
    errors.invalids(SPEC.child('timeZone'), zone, timeZoneErrors(zone));
  }
  checkEnum(errors, SPEC.child('concurrencyPolicy'), text(spec, 'concurrencyPolicy'), [
    'Allow',
    'Forbid',
    'Replace',
  ]);
  const job = part(part(spec, 'jobTemplate'), 'spec');
  const at = SPEC.child('jobTemplate', 'spec');
  checkJobSpec(errors, at, job);
  if (has(job, 'selector'))
    errors.invalid(at.child('selector'), job['selector'], '`selector` will be auto-generated');
  if (flag(job, 'manualSelector')) errors.notSupported(at.child('manualSelector'), true, ['nil', 'false']);
  for (const name of ['successfulJobsHistoryLimit', 'failedJobsHistoryLimit']) {
    checkNotNegative(errors, SPEC.child(name), countOf(spec, name));
  }
}

/** A zone in the schedule itself is refused, save where it stood there before. */
function checkSchedule(errors: FieldErrors, spec: JsonObject, before: JsonObject | undefined): void {
  const at = SPEC.child('schedule');
  const schedule = text(spec, 'schedule');
  if (schedule === '') {
    errors.required(at);
    return;
  }
  const wrong = scheduleError(schedule.replace(/^(CRON_)?TZ=\S+ +/, ''));
  if (wrong !== undefined) errors.invalid(at, schedule, wrong);
  if (!schedule.includes('TZ')) return;
  const stood = before !== undefined && text(before, 'schedule').includes('TZ');
  if (!stood)
    errors.invalid(at, schedule, 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead');
  else if (has(spec, 'timeZone'))
    errors.invalid(at, schedule, 'cannot use both timeZone field and TZ or CRON_TZ in schedule');
}
