/** CronJob: a job at each time of a schedule. */

import { scheduleError, timeZoneErrors } from '../../validation/cron.ts';
import { dnsSubdomainErrors, forName } from '../../validation/names.ts';
import { checkEnum, checkNotNegative } from '../../validation/scalars.ts';
import { countOf, flag, has, part, text } from '../../validation/value.ts';
import { defineKind, METADATA, SPEC } from '../kinds/kind.ts';
import { checkJobSpec } from './jobs.ts';

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
    nameErrors: forName(dnsSubdomainErrors),
    generation: ['spec'],
    prepareForCreate: (object) => ({ ...object, status: {} }),
    checkCreate(errors, object) {
      const name = object.metadata.name ?? '';
      if (name.length > NAME_LENGTH_MAX)
        errors.invalid(METADATA.child('name'), name, 'must be no more than 52 characters');
    },
    check(errors, object) {
      const spec = part(object, 'spec');
      const schedule = text(spec, 'schedule');
      if (schedule === '') errors.required(SPEC.child('schedule'));
      else {
        if (/TZ/.test(schedule)) {
          errors.invalid(
            SPEC.child('schedule'),
            schedule,
            'cannot use TZ or CRON_TZ in schedule, use timeZone field instead',
          );
        } else {
          const wrong = scheduleError(schedule);
          if (wrong !== undefined) errors.invalid(SPEC.child('schedule'), schedule, wrong);
        }
      }
      if (has(spec, 'timeZone')) {
        const zone = text(spec, 'timeZone');
        errors.invalids(SPEC.child('timeZone'), zone, timeZoneErrors(zone));
      }
      checkNotNegative(
        errors,
        SPEC.child('startingDeadlineSeconds'),
        countOf(spec, 'startingDeadlineSeconds'),
      );
      checkEnum(errors, SPEC.child('concurrencyPolicy'), text(spec, 'concurrencyPolicy'), [
        'Allow',
        'Forbid',
        'Replace',
      ]);
      const job = part(part(spec, 'jobTemplate'), 'spec');
      const at = SPEC.child('jobTemplate', 'spec');
      if (flag(job, 'manualSelector'))
        errors.notSupported(at.child('manualSelector'), true, ['nil', 'false']);
      if (has(job, 'selector'))
        errors.invalid(at.child('selector'), job['selector'], '`selector` will be auto-generated');
      checkJobSpec(errors, at, job);
      for (const name of ['successfulJobsHistoryLimit', 'failedJobsHistoryLimit']) {
        checkNotNegative(errors, SPEC.child(name), countOf(spec, name));
      }
    },
    status: {},
  },
});
