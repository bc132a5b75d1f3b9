import neostandard, { resolveIgnoresFromGitignore } from 'neostandard'

export default [
  ...neostandard({ ts: true, ignores: resolveIgnoresFromGitignore() }),
  {
    rules: {
      // a TypeBox schema and its Static type share one name; the compiler reports real redeclarations
      '@typescript-eslint/no-redeclare': 'off',
      curly: ['error', 'multi-line'],
      'max-len': ['error', { code: 150, ignoreStrings: true, ignoreTemplateLiterals: true, ignoreRegExpLiterals: true }]
    }
  },
  {
    // tests take answers apart by the names that they have on the wire
    files: ['test/**', 'bench/**'],
    rules: { camelcase: ['error', { properties: 'never', allow: ['_id$'] }] }
  }
]
