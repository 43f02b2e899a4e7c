/**
 * The tables of the embedded Durable engine. All texts that the app sees are kept as the JSON text it sent or gets, so a
 * value never changes by being stored. One orchestrator turn is one transaction over all of these tables.
 *
 * - `instances`: one row per orchestration id, its latest execution only. Times are milliseconds since 1970.
 * - `history`: the events of the executions named in `instances`, in order; `received` marks those that came in as messages
 *   (only they are ever shown as played). A replaced, continued or purged execution takes its events with it.
 * - `messages`: what is still to be given to an orchestrator, not before `due_ms`: starts, completions, events, timers.
 *   `execution_id` null means "whichever execution is current". `timer_id` is set for durable timers only.
 * - `activities`: activity runs not yet answered; after a crash all of them run again (at least once).
 */
export const schemaVersion = 1

export const schemaText = `
CREATE TABLE IF NOT EXISTS instances (
  instance_id TEXT PRIMARY KEY,
  execution_id TEXT NOT NULL,
  name TEXT NOT NULL,
  status TEXT NOT NULL,
  input TEXT,
  output TEXT,
  custom_status TEXT,
  created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL,
  generation INTEGER,
  parent TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS history (
  execution_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  received INTEGER NOT NULL,
  event TEXT NOT NULL,
  PRIMARY KEY (execution_id, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  instance_id TEXT NOT NULL,
  execution_id TEXT,
  timer_id INTEGER,
  due_ms INTEGER NOT NULL,
  event TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_by_instance ON messages (instance_id, due_ms, id);
CREATE INDEX IF NOT EXISTS messages_by_due ON messages (due_ms, instance_id);
CREATE TABLE IF NOT EXISTS activities (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  instance_id TEXT NOT NULL,
  execution_id TEXT NOT NULL,
  task_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  input TEXT
);
`
