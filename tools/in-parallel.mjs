// Runs scripts of package.json at the same time: `node tools/in-parallel.mjs <script>...`. What one prints is shown as one piece when it has ended;
// all are let come to their end, then the exit code says whether all were well.
import { spawn } from 'node:child_process'

const run = (script) =>
  new Promise((resolve, reject) => {
    const began = performance.now()
    const printed = []
    const child = spawn(process.execPath, ['--run', script], { stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => printed.push(chunk))
    child.on('error', reject)
    child.on('close', (code) => {
      const seconds = ((performance.now() - began) / 1000).toFixed(1)
      console.log(`${code === 0 ? 'ok' : 'FAILED'} ${script} (${seconds} s)`)
      process.stdout.write(Buffer.concat(printed))
      resolve(code === 0)
    })
  })

const ends = await Promise.all(process.argv.slice(2).map(run))
process.exitCode = ends.every((isWell) => isWell) ? 0 : 1
