/** The storage contract on the backend in memory. */

import { overMemory } from './contract/memory-backend.ts';
import { storageContract } from './contract/storage-contract.ts';

storageContract('memory', async () => overMemory());
