/**
 * Reservations around a write: an address or a name that a create or update takes before it writes is told how the write
 * ended, whatever happened between. Modelled on the two-phase hooks of apiserver's registry store.
 */

import type { KubeObject } from '../api/meta.ts';
import type { Reservation } from './resource.ts';

/** Runs a step and tells the reservation how it ended. */
export async function settle<T>(reservation: Reservation | undefined, act: () => Promise<T>): Promise<T> {
  let success = false;
  try {
    const result = await act();
    success = true;
    return result;
  } finally {
    await reservation?.finish(success);
  }
}

/** Runs a step; the reservation is given back when it fails and handed on when it does not. */
export async function settleLater(
  reservation: Reservation | undefined,
  act: () => Promise<KubeObject>,
): Promise<{ readonly object: KubeObject; readonly reservation: Reservation | undefined }> {
  try {
    return { object: await act(), reservation };
  } catch (error) {
    await reservation?.finish(false);
    throw error;
  }
}
