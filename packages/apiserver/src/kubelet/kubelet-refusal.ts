/**
 * A kubelet's refusal as clients are told of it: its own words where it says what was wrong, those of the code otherwise.
 *
 * Modelled on apiserver's registry/generic/rest response checker and apimachinery's NewGenericServerResponse.
 */

import { ApiError, badRequest, internalError, type StatusReason } from '../api/status.ts';

const KNOWN: Readonly<Record<number, readonly [reason: StatusReason, text: string]>> = {
  401: ['Unauthorized', 'the server has asked for the client to provide credentials'],
  404: ['NotFound', 'the server could not find the requested resource'],
  405: ['MethodNotAllowed', 'the server does not allow this method on the requested resource'],
  409: ['Conflict', 'the server reported a conflict'],
  410: ['Gone', 'the server responded with the status code 410 but did not return more information'],
  422: ['Invalid', 'the server rejected our request due to an error in our request'],
  429: ['TooManyRequests', 'the server has received too many requests and has asked us to try again later'],
  503: ['ServiceUnavailable', 'the server is currently unable to handle the request'],
  504: [
    'Timeout',
    'the server was unable to return a response in the time allotted, but may still be processing the request',
  ],
};

/** @param name the pod whose log was asked for */
export function refusalOf(code: number, text: string, name: string): ApiError {
  if (code === 500) return internalError(new Error(text));
  if (code === 400) return badRequest(text);
  const [reason, words] = known(code, text);
  return new ApiError({
    code,
    reason,
    message: `${words} ( pods/log ${name})`,
    details: { name, kind: 'pods/log' },
  });
}

function known(code: number, text: string): readonly [StatusReason, string] {
  if (code === 403) return ['Forbidden', text];
  const found = KNOWN[code];
  if (found !== undefined) return found;
  if (code >= 500) {
    return [
      'InternalError',
      `an error on the server (${JSON.stringify(text)}) has prevented the request from succeeding`,
    ];
  }
  return ['', `the server responded with the status code ${code} but did not return more information`];
}
