import { defineConfig } from 'vitest/config'

/** What each project may cost is decided in docs/adr: `check` runs unit, replay and contract in under two minutes. */
export default defineConfig({
  test: {
    passWithNoTests: false,
    /** As many files at a time as there are processors: some of them wait. */
    maxWorkers: '100%',
    /** Outside a Functions host the app's modules register nothing; that is said once for each of them. */
    onConsoleLog: (line) => !line.includes('"@azure/functions" package'),
    exclude: ['**/node_modules/**', '**/dist/**', '**/.local/**'],
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            'test/{domain,format,vault,model,architecture,azure,functions,jobs}/**/*.test.ts',
            'test/local/unit/**/*.test.ts',
          ],
          /** Far more than any takes on a machine that has other things to do. */
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      { test: { name: 'replay', include: ['test/replay/**/*.test.ts'], testTimeout: 30_000 } },
      { test: { name: 'contract', include: ['test/contract/**/*.test.ts'], testTimeout: 60_000, hookTimeout: 60_000 } },
      {
        test: {
          name: 'integration',
          include: ['test/{host,compute,sim,collect,reader}/**/*.test.ts', 'test/local/integration/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'soak',
          include: ['test/soak/**/*.test.ts'],
          testTimeout: 3_600_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 300_000,
          fileParallelism: false,
        },
      },
    ],
  },
})
