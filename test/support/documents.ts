import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

export const projectFolder = resolve(import.meta.dirname, '../..')

/** Commands in the order in which a document shows them: lines of its `bash` blocks, continued lines joined, comments cut off. Blocks
 * that begin with `# needs Azure` are left out. */
export const commandsOf = (document: string): readonly string[] =>
  blocksOf(document, 'bash')
    .filter((block) => !block.startsWith('# needs Azure'))
    .flatMap((block) => block.replaceAll(/\\\n\s*/g, '').split('\n'))
    .map((line) => line.replace(/\s+#\s.*$/, '').trim())
    .filter((line) => line !== '' && !line.startsWith('#'))

/** The npm commands that stand in the document's sentences. */
export const commandsInWordsOf = (document: string): readonly string[] =>
  [...textOf(document).matchAll(/`(npm [^`\n]+)`/g)].map(([, command]) => command ?? '')

/** The texts of the fenced blocks of one language, in order. */
export const blocksOf = (document: string, language: string): readonly string[] =>
  [...textOf(document).matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'gm'))].map(
    (match) => match[1] ?? '',
  )

export const textOf = (document: string): string => readFileSync(join(projectFolder, document), 'utf8')
