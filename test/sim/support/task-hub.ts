import { DatabaseSync } from 'node:sqlite'

/** What a task hub's file holds, read beside the engine that uses it. */
export interface TaskHubView {
  /** Names of the instances that have not ended, children included. */
  live(): readonly string[]
  close(): void
}

export const viewTaskHub = (databasePath: string): TaskHubView => {
  const database = new DatabaseSync(databasePath, { readOnly: true })
  const query = database.prepare(
    "SELECT name FROM instances WHERE status IN ('Pending', 'Running', 'Suspended') ORDER BY instance_id",
  )
  return {
    live: () => query.all().map((row) => String(row.name)),
    close: () => database.close(),
  }
}
