// Every script runs this first: the right Node comes with `npm ci`, from the npm package `node`.
const major = Number(process.versions.node.split('.')[0])
if (major < 24) {
  console.error(
    `DeltaVault runs on Node 24; this is Node ${process.versions.node}. ` +
      'npm ci installs Node 24 from the npm package "node", unless it is told --ignore-scripts or --omit=dev: ' +
      'run plain `npm ci` again, and start everything through npm scripts.',
  )
  process.exit(1)
}
