/** All tables of texts. */

import { META_PROSE } from './meta.ts';

export const PROSE: readonly string[] = [META_PROSE];
