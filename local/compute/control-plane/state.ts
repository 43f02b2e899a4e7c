import { chmodSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import type { OperationRecord, RecordKind, RecordKinds } from './records.ts'
import { idKey } from './resource-ids.ts'

/** The emulator's durable memory. Every change is on disk when the call returns; reads see the latest change. */
export interface EmulatorState {
  /** The resource of that kind and id, ids compared without case; null when there is none. */
  get<K extends RecordKind>(kind: K, id: string): RecordKinds[K] | null
  /** All resources of a kind whose id begins with `idPrefix`, sorted by lower-case id. */
  list<K extends RecordKind>(kind: K, idPrefix: string): RecordKinds[K][]
  /** All resources of a kind with that value, compared without case, in a field that has an index. */
  listBy<K extends RecordKind>(kind: K, field: IndexedField, value: string): RecordKinds[K][]
  put<K extends RecordKind>(kind: K, record: RecordKinds[K]): void
  remove(kind: RecordKind, id: string): void
  getOperation(id: string): OperationRecord | null
  putOperation(operation: OperationRecord): void
  operationsInProgress(): OperationRecord[]
  /** Small facts by name: generations, keys. Null when never set. */
  getFact(name: string): string | null
  setFact(name: string, value: string): void
  /** Runs synchronous changes as one: all or none survive a kill. */
  transaction<T>(change: () => T): T
  close(): void
}

/** Fields that are looked up by value: thousands of restore points must not be read for each question. */
export type IndexedField = 'familyId' | 'sourceVmId'

/** How long the status of an ended operation is kept. */
const operationRetentionMs = 7 * 24 * 3600 * 1000

/** Opens or makes the state file. It holds SAS URLs of finished grants, so only its owner may read it. */
export const openState = (file: string, nowMs: number): EmulatorState => {
  const database = new DatabaseSync(file)
  chmodSync(file, 0o600)
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS resource (kind TEXT, key TEXT, body TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS resource_family ON resource (kind, lower(body ->> '$.familyId'));
    CREATE INDEX IF NOT EXISTS resource_source_vm ON resource (kind, lower(body ->> '$.sourceVmId'));
    CREATE TABLE IF NOT EXISTS operation (id TEXT PRIMARY KEY, status TEXT NOT NULL, started INTEGER NOT NULL, body TEXT NOT NULL);
    CREATE INDEX IF NOT EXISTS operation_status ON operation (status);
    CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;`)
  database
    .prepare("DELETE FROM operation WHERE status <> 'InProgress' AND started < ?")
    .run(nowMs - operationRetentionMs)
  return { ...resourceTable(database), ...operationTable(database), ...factTable(database), ...lifetime(database) }
}

const parsed = <T>(row: unknown): T | null =>
  row === undefined ? null : (JSON.parse((row as { body: string }).body) as T)

const resourceTable = (database: DatabaseSync): Pick<EmulatorState, 'get' | 'list' | 'listBy' | 'put' | 'remove'> => {
  const get = database.prepare('SELECT body FROM resource WHERE kind = ? AND key = ?')
  const list = database.prepare('SELECT body FROM resource WHERE kind = ? AND key >= ? AND key < ? ORDER BY key')
  const listBy = (path: string) =>
    database.prepare(`SELECT body FROM resource WHERE kind = ? AND lower(body ->> '${path}') = ? ORDER BY key`)
  const byField = { familyId: listBy('$.familyId'), sourceVmId: listBy('$.sourceVmId') }
  const put = database.prepare('INSERT OR REPLACE INTO resource (kind, key, body) VALUES (?, ?, ?)')
  const remove = database.prepare('DELETE FROM resource WHERE kind = ? AND key = ?')
  return {
    get: (kind, id) => parsed(get.get(kind, idKey(id))),
    list: (kind, idPrefix) => {
      const from = idKey(idPrefix)
      return list.all(kind, from, `${from}\u{10ffff}`).map((row) => JSON.parse((row as { body: string }).body))
    },
    listBy: (kind, field, value) =>
      byField[field].all(kind, value.toLowerCase()).map((row) => JSON.parse((row as { body: string }).body)),
    put: (kind, record) => {
      put.run(kind, idKey(record.id), JSON.stringify(record))
    },
    remove: (kind, id) => {
      remove.run(kind, idKey(id))
    },
  }
}

const operationTable = (
  database: DatabaseSync,
): Pick<EmulatorState, 'getOperation' | 'putOperation' | 'operationsInProgress'> => {
  const get = database.prepare('SELECT body FROM operation WHERE id = ?')
  const put = database.prepare('INSERT OR REPLACE INTO operation (id, status, started, body) VALUES (?, ?, ?, ?)')
  const open = database.prepare("SELECT body FROM operation WHERE status = 'InProgress' ORDER BY started, id")
  return {
    getOperation: (id) => parsed(get.get(id)),
    putOperation: (operation) => {
      put.run(operation.id, operation.status, Date.parse(operation.startTime), JSON.stringify(operation))
    },
    operationsInProgress: () => open.all().map((row) => JSON.parse((row as { body: string }).body)),
  }
}

const factTable = (database: DatabaseSync): Pick<EmulatorState, 'getFact' | 'setFact'> => {
  const get = database.prepare('SELECT value AS body FROM fact WHERE name = ?')
  const set = database.prepare('INSERT OR REPLACE INTO fact (name, value) VALUES (?, ?)')
  return {
    getFact: (name) => (get.get(name) as { body: string } | undefined)?.body ?? null,
    setFact: (name, value) => {
      set.run(name, value)
    },
  }
}

const lifetime = (database: DatabaseSync): Pick<EmulatorState, 'transaction' | 'close'> => ({
  transaction: (change) => {
    database.exec('BEGIN IMMEDIATE')
    try {
      const result = change()
      database.exec('COMMIT')
      return result
    } catch (error) {
      database.exec('ROLLBACK')
      throw error
    }
  },
  close: () => database.close(),
})
