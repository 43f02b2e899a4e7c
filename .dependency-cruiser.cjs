/** Who may import whom (docs/architecture.md, "The rule"). `test/architecture` proves that this check sees the modules at all. */
const nodeBuiltins =
  '^node:|^(fs|path|http|https|net|tls|crypto|zlib|stream|os|child_process|events|assert|worker_threads|timers|url|util)(/|$)'
const only = (name, from, allowed, comment) => ({
  name,
  comment,
  severity: 'error',
  from: { path: from },
  to: { pathNot: allowed },
})

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    only(
      'domain-is-pure',
      '^shared/domain/',
      ['^shared/domain/', '^(node:)?crypto$', 'node_modules/valibot'],
      'The domain knows itself alone; crypto serves ids.ts, valibot the shapes of documents.',
    ),
    only(
      'format-is-bytes',
      '^shared/format/',
      ['^shared/(domain|format)/', '^(node:)?(assert/strict|crypto|zlib|util)$'],
      'Encoders and decoders: no I/O.',
    ),
    only(
      'ports-are-interfaces',
      '^shared/ports/',
      ['^shared/(domain|ports)/'],
      'Ports name domain types and nothing else.',
    ),
    only(
      'vault-knows-ports',
      '^shared/vault/',
      [
        '^shared/(domain|format|ports|vault)/',
        '^(node:)?(assert/strict|crypto|zlib|util|events|timers|timers/promises)$',
        'node_modules/valibot',
      ],
      'Use cases over ports: never an SDK.',
    ),
    only(
      'jobs-know-ports',
      '^shared/jobs/',
      ['^shared/(domain|format|ports|vault|jobs)/', '^(node:)?crypto$', 'node_modules/valibot'],
      'Jobs, claims and supervision over ports: never an SDK.',
    ),
    {
      name: 'sdk-only-in-azure',
      comment: 'The Azure SDKs are known to the adapters alone.',
      severity: 'error',
      from: { pathNot: '^(shared/azure|local|test|bench)/' },
      to: { path: 'node_modules/@azure/(arm-compute|storage-blob|identity|keyvault-keys|core-)' },
    },
    only(
      'transfer-threads-compose',
      '^shared/azure/transfer-',
      ['^shared/(azure|domain|format|ports|vault)/', '^shared/config\\.ts$', nodeBuiltins],
      'The composition root of transfer threads and what talks to it: functions cannot cross a thread, so it is composed there.',
    ),
    only(
      'azure-knows-ports',
      '^shared/azure/(?!transfer-)',
      ['^shared/azure/(?!transfer-)', '^shared/(ports|domain)/', '^shared/config\\.ts$', nodeBuiltins, 'node_modules/'],
      'Adapters know ports and domain types, never the vault or the app.',
    ),
    only(
      'orchestrators-are-stories',
      '^functions/orchestrators/',
      ['^functions/(orchestrators|contracts\\.ts|durable\\.ts)', '^shared/domain/(?!ids)'],
      'No I/O, no clock, no chance: replays must give the same actions.',
    ),
    only(
      'activities-are-thin',
      '^functions/activities/',
      [
        '^functions/(contracts\\.ts|durable\\.ts|services\\.ts|told-events\\.ts|transfer-slots\\.ts|activities/)',
        '^shared/(domain|vault|jobs|ports)/',
      ],
      'Parse, call one use case, return its outcome.',
    ),
    {
      name: 'services-compose',
      comment: 'The composition root alone knows adapters and configuration.',
      severity: 'error',
      from: { path: '^functions/', pathNot: '^functions/services\\.ts$' },
      to: { path: '^shared/(azure/|config\\.ts)' },
    },
    {
      name: 'nothing-imports-the-workshop',
      severity: 'error',
      from: { path: '^(functions|shared)/' },
      to: { path: '^(local|bench|test|tools)/' },
    },
    {
      name: 'tools-stand-beside-the-app',
      comment:
        'Tools connect as the app does, and read the settings as the local host does; they import neither the app nor bench and tests.',
      severity: 'error',
      from: { path: '^tools/' },
      to: { path: '^(functions|bench|test)/' },
    },
    {
      name: 'local-is-not-the-app',
      comment:
        'The local host loads the app through package.json; it does not import it, nor what is made to work on it.',
      severity: 'error',
      from: { path: '^local/' },
      to: { path: '^(functions|bench|test|tools)/' },
    },
    {
      name: 'no-unresolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true, pathNot: '^@azure/functions-core$' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.json'],
    },
    moduleSystems: ['es6', 'cjs'],
  },
}
