/** The arrows between the rooms: they run downward only. */
const edge = '^src/(express|fastify|http|threads|metrics|dashboard|simulate|cli)/'

module.exports = {
  forbidden: [
    {
      name: 'no-circles',
      comment: 'Two files that need each other are one concept, or hide a third. Types may refer both ways.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'core-imports-nothing-of-ours',
      severity: 'error',
      from: { path: '^src/core/' },
      to: { path: '^src/', pathNot: '^src/core/' },
    },
    {
      name: 'rooms-import-core-only',
      severity: 'error',
      from: { path: '^src/(health|policies|request|share)/' },
      to: { path: '^src/', pathNot: ['^src/core/', '^src/$1/'] },
    },
    {
      name: 'a-policy-imports-no-sibling',
      comment: 'What belongs to one policy alone lives in a folder beside it.',
      severity: 'error',
      from: { path: '^src/policies/([^/]+)\\.ts$' },
      to: { path: '^src/policies/[^/]+\\.ts$' },
    },
    {
      name: 'nobody-imports-the-edge',
      severity: 'error',
      from: { path: '^src/', pathNot: edge },
      to: { path: edge },
    },
    {
      name: 'the-edge-imports-the-public-core',
      comment: 'adapter.ts is the public entry for authors of adapters; ours use no other.',
      severity: 'error',
      from: { path: edge },
      to: { path: '^src/', pathNot: ['^src/(index|adapter)\\.ts$', '^src/$1/'] },
    },
    {
      name: 'the-index-is-for-users',
      severity: 'error',
      from: { path: '^src/', pathNot: edge },
      to: { path: '^src/(index|adapter)\\.ts$' },
    },
    {
      name: 'only-its-own-file-imports-a-package',
      comment: 'Each package has one job; DESIGN names it.',
      severity: 'error',
      from: {
        path: '^src/',
        pathNot:
          '^src/(core/agenda|core/background|core/bound|core/line|health/mirror|dependency|policies/cache/store)\\.ts$',
      },
      to: { path: 'node_modules/(@types/opossum|opossum|p-limit|p-timeout|lru-cache|tinyqueue)' },
    },
    {
      name: 'no-dev-packages',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg'], dependencyTypesNot: ['npm-peer', 'npm'] },
    },
    { name: 'not-to-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'default'] },
  },
}
