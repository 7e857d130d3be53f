import { expect, test } from '@jest/globals';

import {
  alreadyExists,
  conflict,
  forbidden,
  hasReason,
  internalError,
  invalid,
  MODIFIED,
  methodNotSupported,
  notFound,
  resourceExpired,
  statusObject,
  tooLargeResourceVersion,
  type ApiError,
} from './status.ts';

const PODS = { group: '', resource: 'pods' };
const DEPLOYMENTS = { group: 'apps', resource: 'deployments' };

test.each<[string, ApiError, string]>([
  [
    'not found',
    notFound(DEPLOYMENTS, 'web'),
    '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"deployments.apps \\"web\\" not found",' +
      '"reason":"NotFound","details":{"name":"web","group":"apps","kind":"deployments"},"code":404}',
  ],
  [
    'already exists',
    alreadyExists(PODS, 'web'),
    '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"pods \\"web\\" already exists",' +
      '"reason":"AlreadyExists","details":{"name":"web","kind":"pods"},"code":409}',
  ],
  [
    'conflict',
    conflict(PODS, 'web', MODIFIED),
    '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Operation cannot be fulfilled on pods \\"web\\": ' +
      'the object has been modified; please apply your changes to the latest version and try again",' +
      '"reason":"Conflict","details":{"name":"web","kind":"pods"},"code":409}',
  ],
  [
    'one thing invalid',
    invalid({ group: 'apps', kind: 'Deployment' }, 'web', [
      {
        type: 'FieldValueInvalid',
        field: 'spec.replicas',
        body: 'Invalid value: -1: must be greater than or equal to 0',
      },
    ]),
    '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Deployment.apps \\"web\\" is invalid: spec.replicas: ' +
      'Invalid value: -1: must be greater than or equal to 0","reason":"Invalid","details":{"name":"web","group":"apps","kind":"Deployment",' +
      '"causes":[{"reason":"FieldValueInvalid","message":"Invalid value: -1: must be greater than or equal to 0","field":"spec.replicas"}]},"code":422}',
  ],
  [
    'an expired list that can go on',
    resourceExpired('The provided continue parameter is too old', 'next'),
    '{"kind":"Status","apiVersion":"v1","metadata":{"continue":"next"},"status":"Failure","message":"The provided continue parameter is too old",' +
      '"reason":"Expired","code":410}',
  ],
  [
    'a resourceVersion of the future',
    tooLargeResourceVersion(9, 5),
    '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Timeout: Too large resource version: 9, current: 5",' +
      '"reason":"Timeout","details":{"causes":[{"reason":"ResourceVersionTooLarge","message":"Too large resource version"}],"retryAfterSeconds":1},"code":504}',
  ],
])('%s as it is sent', (_name, error, want) => {
  expect(JSON.stringify(statusObject(error.status))).toBe(want);
});

test('several wrong things are listed once each, and are all causes', () => {
  const wrong = (field: string) => ({
    type: 'FieldValueRequired' as const,
    field,
    body: 'Required value',
  });
  const { status } = invalid({ group: '', kind: 'Pod' }, 'web', [wrong('a'), wrong('b'), wrong('a')]);
  expect(status.message).toBe('Pod "web" is invalid: [a: Required value, b: Required value]');
  expect(status.details?.causes).toHaveLength(3);
});

test('what is forbidden is named as far as it has a name', () => {
  expect(forbidden(PODS, 'web', 'no').message).toBe('pods "web" is forbidden: no');
  expect(forbidden(DEPLOYMENTS, '', 'no').message).toBe('deployments.apps is forbidden: no');
  expect(forbidden({ group: '', resource: '' }, '', 'no').message).toBe('forbidden: no');
});

test('a verb that a resource lacks', () => {
  expect(methodNotSupported(DEPLOYMENTS, 'watch').message).toBe(
    'watch is not supported on resources of kind "deployments.apps"',
  );
});

test('an inner error keeps its cause and is told by its reason', () => {
  const cause = new Error('disk');
  const error = internalError(cause);
  expect(error.cause).toBe(cause);
  expect(error.message).toBe('Internal error occurred: disk');
  expect(hasReason(error, 'InternalError')).toBe(true);
  expect(hasReason(cause, 'InternalError')).toBe(false);
});
