/**
 * How objects of one version of a custom resource become another's: by another name alone, or by asking a webhook. A
 * call takes time and conversion is asked for in the middle of work that must not wait, so a converter that calls says
 * what it needs (ConversionNeeded), and who may wait has it made and begins that work again.
 */

import type { KubeObject } from '../api/meta.ts';
import type { Slices } from '../api/sliced.ts';

export interface Converter {
  /** Whether it asks somebody. */
  readonly calls: boolean;
  /**
   * @param apiVersion `stable.example.com/v1`
   * @throws ConversionNeeded when it has to be asked for first
   */
  convert(object: KubeObject, apiVersion: string): KubeObject;
  /** Asks for many at once. @param slices in which what it does itself is done @throws ApiError */
  prepare?(objects: readonly KubeObject[], apiVersion: string, slices?: Slices): Promise<void>;
}

/** Strategy None. */
export const RENAME: Converter = {
  calls: false,
  convert: (object, apiVersion) => ({ ...object, apiVersion }),
};
