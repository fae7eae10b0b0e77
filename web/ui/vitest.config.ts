import { defineConfig } from 'vitest/config';

// Units are pure modules: they need neither components nor messages, so none of the build's plugins.
export default defineConfig({ test: { include: ['src/**/*.test.ts'] } });
