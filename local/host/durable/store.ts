import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { schemaText, schemaVersion } from './schema.ts'

/** OrchestrationStatus of DurableTask.Core; the first three are live. */
export type InstanceStatus = 'Pending' | 'Running' | 'Suspended' | 'Completed' | 'Failed' | 'Terminated'

/** True for an instance that can still do something. */
export const isLive = (status: InstanceStatus): boolean =>
  status === 'Pending' || status === 'Running' || status === 'Suspended'

/** One orchestration id and its current execution. Texts are JSON texts; `output` of a failed, terminated or suspended
 * instance is plain text turned into a JSON string. */
export interface InstanceRow {
  readonly instance_id: string
  readonly execution_id: string
  readonly name: string
  readonly status: InstanceStatus
  readonly input: string | null
  readonly output: string | null
  readonly custom_status: string | null
  readonly created_ms: number
  readonly updated_ms: number
  readonly generation: number | null
  readonly parent: string | null
}

export interface MessageRow {
  readonly id: number
  readonly instance_id: string
  readonly execution_id: string | null
  readonly due_ms: number
  readonly event: string
}

export interface ActivityRow {
  readonly id: number
  readonly instance_id: string
  readonly execution_id: string
  readonly task_id: number
  readonly name: string
  readonly input: string | null
}

export interface HistoryRow {
  readonly received: number
  readonly event: string
}

export interface NewMessage {
  readonly instanceId: string
  readonly executionId: string | null
  readonly timerId: number | null
  readonly dueMs: number
  /** JSON text of the history event that the message becomes. */
  readonly event: string
}

export interface InstanceFilter {
  readonly createdFromMs?: number
  readonly createdToMs?: number
  readonly statuses?: readonly string[]
  readonly idPrefix?: string
  /** Only ids from here on, in order: what a continuation token names. */
  readonly fromId?: string
}

/** Everything the engine keeps, by name. Calls are synchronous; writes outside `transaction` are their own transaction. */
export interface Store {
  /** Runs `work` as one transaction: all of it is kept, or, if it throws or the process dies, nothing. Not nested. */
  transaction<T>(work: () => T): T
  instance(instanceId: string): InstanceRow | undefined
  putInstance(row: InstanceRow): void
  /** In order of id; `limit` rows at most. */
  listInstances(filter: InstanceFilter, limit: number): InstanceRow[]
  deleteInstance(instanceId: string): void
  history(executionId: string): HistoryRow[]
  appendHistory(executionId: string, firstSeq: number, rows: readonly HistoryRow[]): void
  deleteHistory(executionId: string): void
  putMessage(message: NewMessage): void
  /** In order of arrival: by due time, then by id. */
  dueMessages(instanceId: string, nowMs: number): MessageRow[]
  deleteMessage(id: number): void
  /** Forgets what waits for an id, timers included; with an execution, only what is addressed to that one. */
  deleteMessages(instanceId: string, executionId?: string): void
  deleteTimer(instanceId: string, executionId: string, timerId: number): void
  /** Of messages that became due after the first time, up to the second and at it; -1 for all that are due. */
  instancesWithDueMessages(afterMs: number, untilMs: number): string[]
  nextDueMs(afterMs: number): number | undefined
  /** @returns the id of the run */
  putActivity(row: Omit<ActivityRow, 'id'>): number
  activity(id: number): ActivityRow | undefined
  activityIds(): number[]
  deleteActivity(id: number): void
  close(): void
}

/** Opens or creates the database. Exclusive use is the caller's duty: one engine per file.
 * @param afterCommit told after each commit; for crash tests
 * @throws if the file was written by another schema version */
export function openStore(databasePath: string, afterCommit: () => void = () => {}): Store {
  const database = open(databasePath)
  const statements = prepareAll(database)
  return {
    transaction: (work) => inTransaction(database, work, afterCommit),
    listInstances: (filter, limit) => listInstances(database, filter, limit),
    close: () => database.close(),
    ...statements,
  }
}

/** Of 4 KiB, so 16 MiB. Nothing else goes on while a checkpoint is forced to the disk. At four times SQLite's own size it comes a quarter as
 * often, and writes a page that many turns changed once. */
const pagesPerCheckpoint = 4000
/** What a thousand running instances touch; of SQLite's own 2 MiB, pages are read again and again as more of them run. */
const cacheKibibytes = 16_000

function open(databasePath: string): DatabaseSync {
  const database = new DatabaseSync(databasePath)
  // WAL with NORMAL keeps every commit through a killed process; only a power failure may lose the last ones.
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 5000')
  database.exec(`PRAGMA wal_autocheckpoint = ${pagesPerCheckpoint}; PRAGMA cache_size = -${cacheKibibytes}`)
  const found = Number(database.prepare('PRAGMA user_version').get()?.user_version ?? 0)
  if (found !== 0 && found !== schemaVersion) {
    database.close()
    throw new Error(
      `${databasePath} has schema version ${found}, this host writes ${schemaVersion}: remove the file to start anew`,
    )
  }
  database.exec(schemaText)
  database.exec(`PRAGMA user_version = ${schemaVersion}`)
  return database
}

function inTransaction<T>(database: DatabaseSync, work: () => T, afterCommit: () => void): T {
  database.exec('BEGIN IMMEDIATE')
  let result: T
  try {
    result = work()
    database.exec('COMMIT')
  } catch (error) {
    database.exec('ROLLBACK')
    throw error
  }
  afterCommit()
  return result
}

function prepareAll(database: DatabaseSync): Omit<Store, 'transaction' | 'listInstances' | 'close'> {
  const all = <Row>(text: string) => {
    const statement = database.prepare(text)
    return (...values: SQLInputValue[]) => statement.all(...values) as unknown as Row[]
  }
  const one = <Row>(text: string) => {
    const statement = database.prepare(text)
    return (...values: SQLInputValue[]) => statement.get(...values) as unknown as Row | undefined
  }
  const run = (text: string) => {
    const statement = database.prepare(text)
    return (...values: SQLInputValue[]) => statement.run(...values)
  }
  return {
    ...instanceStatements(all, one, run),
    ...messageStatements(all, one, run),
    ...activityStatements(all, one, run),
  }
}

type All = <Row>(text: string) => (...values: SQLInputValue[]) => Row[]
type One = <Row>(text: string) => (...values: SQLInputValue[]) => Row | undefined
type Run = (text: string) => (...values: SQLInputValue[]) => { readonly lastInsertRowid: number | bigint }

function instanceStatements(all: All, one: One, run: Run) {
  const instance = one<InstanceRow>('SELECT * FROM instances WHERE instance_id = ?')
  const putInstance = run(`INSERT OR REPLACE INTO instances
    (instance_id, execution_id, name, status, input, output, custom_status, created_ms, updated_ms, generation, parent)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
  const deleteInstance = run('DELETE FROM instances WHERE instance_id = ?')
  const history = all<HistoryRow>('SELECT received, event FROM history WHERE execution_id = ? ORDER BY seq')
  const appendHistory = run('INSERT INTO history (execution_id, seq, received, event) VALUES (?, ?, ?, ?)')
  const deleteHistory = run('DELETE FROM history WHERE execution_id = ?')
  return {
    instance: (id: string) => instance(id),
    putInstance: (row: InstanceRow) =>
      void putInstance(
        row.instance_id,
        row.execution_id,
        row.name,
        row.status,
        row.input,
        row.output,
        row.custom_status,
        row.created_ms,
        row.updated_ms,
        row.generation,
        row.parent,
      ),
    deleteInstance: (id: string) => void deleteInstance(id),
    history: (executionId: string) => history(executionId),
    appendHistory: (executionId: string, firstSeq: number, rows: readonly HistoryRow[]) => {
      for (const [index, row] of rows.entries()) appendHistory(executionId, firstSeq + index, row.received, row.event)
    },
    deleteHistory: (executionId: string) => void deleteHistory(executionId),
  }
}

function messageStatements(all: All, one: One, run: Run) {
  const put = run('INSERT INTO messages (instance_id, execution_id, timer_id, due_ms, event) VALUES (?, ?, ?, ?, ?)')
  const due = all<MessageRow>(
    'SELECT id, instance_id, execution_id, due_ms, event FROM messages WHERE instance_id = ? AND due_ms <= ? ORDER BY due_ms, id',
  )
  const remove = run('DELETE FROM messages WHERE id = ?')
  const removeAll = run('DELETE FROM messages WHERE instance_id = ?')
  const removeOf = run('DELETE FROM messages WHERE instance_id = ? AND execution_id = ?')
  const removeTimer = run('DELETE FROM messages WHERE instance_id = ? AND execution_id = ? AND timer_id = ?')
  const instancesDue = all<{ instance_id: string }>(
    'SELECT DISTINCT instance_id FROM messages WHERE due_ms > ? AND due_ms <= ?',
  )
  const next = one<{ due_ms: number | null }>('SELECT min(due_ms) AS due_ms FROM messages WHERE due_ms > ?')
  return {
    putMessage: (m: NewMessage) => void put(m.instanceId, m.executionId, m.timerId, m.dueMs, m.event),
    dueMessages: (instanceId: string, nowMs: number) => due(instanceId, nowMs),
    deleteMessage: (id: number) => void remove(id),
    deleteMessages: (instanceId: string, executionId?: string) =>
      void (executionId === undefined ? removeAll(instanceId) : removeOf(instanceId, executionId)),
    deleteTimer: (instanceId: string, executionId: string, timerId: number) =>
      void removeTimer(instanceId, executionId, timerId),
    instancesWithDueMessages: (afterMs: number, untilMs: number) =>
      instancesDue(afterMs, untilMs).map((row) => row.instance_id),
    nextDueMs: (afterMs: number) => next(afterMs)?.due_ms ?? undefined,
  }
}

function activityStatements(all: All, one: One, run: Run) {
  const put = run('INSERT INTO activities (instance_id, execution_id, task_id, name, input) VALUES (?, ?, ?, ?, ?)')
  const get = one<ActivityRow>('SELECT * FROM activities WHERE id = ?')
  const ids = all<{ id: number }>('SELECT id FROM activities ORDER BY id')
  const remove = run('DELETE FROM activities WHERE id = ?')
  return {
    putActivity: (row: Omit<ActivityRow, 'id'>) =>
      Number(put(row.instance_id, row.execution_id, row.task_id, row.name, row.input).lastInsertRowid),
    activity: (id: number) => get(id),
    activityIds: () => ids().map((row) => row.id),
    deleteActivity: (id: number) => void remove(id),
  }
}

function listInstances(database: DatabaseSync, filter: InstanceFilter, limit: number): InstanceRow[] {
  const conditions: string[] = []
  const values: SQLInputValue[] = []
  const where = (condition: string, ...more: SQLInputValue[]) => {
    conditions.push(condition)
    values.push(...more)
  }
  if (filter.createdFromMs !== undefined) where('created_ms >= ?', filter.createdFromMs)
  if (filter.createdToMs !== undefined) where('created_ms <= ?', filter.createdToMs)
  if (filter.statuses && filter.statuses.length > 0)
    where(`status IN (${filter.statuses.map(() => '?').join(', ')})`, ...filter.statuses)
  // U+FFFF-like upper bound: the greatest code point sorts after every continuation of the prefix.
  if (filter.idPrefix) where('instance_id >= ? AND instance_id < ?', filter.idPrefix, `${filter.idPrefix}\u{10FFFF}`)
  if (filter.fromId !== undefined) where('instance_id >= ?', filter.fromId)
  const text = `SELECT * FROM instances ${conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : ''} ORDER BY instance_id LIMIT ?`
  return database.prepare(text).all(...values, limit) as unknown as InstanceRow[]
}
