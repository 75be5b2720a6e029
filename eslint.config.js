import { defineConfig } from 'eslint/config'
import tseslint from 'typescript-eslint'

const time = ['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'performance']

export default defineConfig(
  { ignores: ['dist', 'docs/api', 'node_modules', '**/results', 'test/types/fixtures'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // Indexing is checked by the compiler (noUncheckedIndexedAccess); an assertion says what the code knows.
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      // A tree is climbed from `this`.
      '@typescript-eslint/no-this-alias': 'off',
      // A caller's abort rejects with the signal's own reason, whatever that is.
      '@typescript-eslint/prefer-promise-reject-errors': 'off',
      '@typescript-eslint/only-throw-error': 'off',
    },
  },
  {
    files: ['test/**/*.ts', 'docs/examples/**/*.ts'],
    rules: {
      // An operation is often an async function with nothing to wait for.
      '@typescript-eslint/require-await': 'off',
    },
  },
  {
    // Time and chance have one door.
    files: ['src/**/*.ts'],
    ignores: ['src/core/clock.ts'],
    rules: {
      'no-restricted-globals': ['error', ...time],
      'no-restricted-properties': [
        'error',
        { object: 'Math', property: 'random' },
        { object: 'Date', property: 'now' },
      ],
      'no-restricted-syntax': ['error', 'NewExpression[callee.name="Date"]'],
    },
  },
)
