// unit: *.spec.ts beside the code, no servers. int: *.int.spec.ts against real servers. e2e: the whole system, tools/e2e.
import { defineConfig } from 'vitest/config';

const ignored = ['**/node_modules/**', '**/dist/**', 'proto/gen/**'];

export default defineConfig({
  // Nest's decorators, compiled the way tools/build/build.ts does for production.
  oxc: { decorator: { legacy: true, emitDecoratorMetadata: false } },
  test: {
    pool: 'forks',
    // What is to come to be may take its time on a busy machine; a second is what vitest waits by itself.
    expect: { poll: { timeout: 15_000 } },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['**/*.spec.ts'],
          exclude: [...ignored, '**/*.int.spec.ts', '**/*.e2e.spec.ts', '**/*.long.spec.ts'],
          // Property tests take seconds; on a busy machine, many.
          testTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'int',
          globalSetup: ['tools/testkit/ensure-servers.ts'],
          include: ['**/*.int.spec.ts'],
          exclude: ignored,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // Each file starts servers of its own; two cores carry two sets at a time, of two projects (nx.json).
          fileParallelism: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          globalSetup: ['tools/testkit/ensure-servers.ts'],
          include: ['tools/e2e/**/*.e2e.spec.ts'],
          exclude: ignored,
          testTimeout: 900_000,
          hookTimeout: 900_000,
          fileParallelism: false,
        },
      },
      {
        extends: true,
        test: {
          // Of the e2e kind, beyond what a clone's tests have minutes for: `npm run test:long`.
          name: 'long',
          globalSetup: ['tools/testkit/ensure-servers.ts'],
          include: ['tools/e2e/**/*.long.spec.ts'],
          exclude: ignored,
          testTimeout: 900_000,
          hookTimeout: 900_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
