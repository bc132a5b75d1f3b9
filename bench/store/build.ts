import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import ts from 'typescript'

const FOLDERS = ['src', 'bench/store']

/** Without a look at types: the linter and the compiler have looked. */
const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.ESNext,
  verbatimModuleSyntax: true,
  rewriteRelativeImportExtensions: true
}

/**
 * Compiles what child processes run, once, as it runs in production: compiling while they start would count as their start.
 *
 * @param root The repository; `dir` lies in it, so that packages are found.
 */
export function buildChild (root: string, dir: string): string {
  for (const folder of FOLDERS) {
    for (const name of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.ts')) continue
      const path = join(folder, name)
      const target = join(dir, path.replace(/\.ts$/, '.js'))
      mkdirSync(dirname(target), { recursive: true })
      writeFileSync(target, ts.transpileModule(readFileSync(join(root, path), 'utf8'), { compilerOptions: OPTIONS }).outputText)
    }
  }
  return join(dir, 'bench/store/child.js')
}
