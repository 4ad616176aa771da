import { MemoryStore } from '../helpers/memory-store.js';
import { objectStoreContract } from './object-store.js';

objectStoreContract('memory', () => Promise.resolve({ store: new MemoryStore(), stop: () => Promise.resolve() }));
