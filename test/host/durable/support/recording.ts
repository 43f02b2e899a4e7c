import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import type { HistoryEvent } from '../../../../local/host/durable/history-event.ts'

/** What the real engine did in one scenario: test/golden/durable/*.json. Strings over 6,000 characters are cut there. */
export interface Recording {
  readonly scenario: string
  readonly title: string
  readonly source: string
  readonly trace: readonly TraceItem[]
}

export interface Cut {
  readonly $long: number
  readonly sha256: string
  readonly head: string
  readonly tail: string
}

export interface OrchestrationItem {
  readonly type: 'orchestration'
  readonly fn: string
  readonly instanceId: string
  readonly trigger: { readonly history: readonly HistoryEvent[] } & Readonly<Record<string, unknown>>
  readonly out?: { readonly json?: unknown; readonly none?: string }
  readonly threw?: { readonly outOfProcData?: unknown; readonly message?: string }
}

export interface ActivityItem {
  readonly type: 'activity' | 'entity'
  readonly fn: string
  readonly instanceId: string
  readonly trigger: string | null | Cut
  readonly out?: Readonly<Record<string, unknown>> | null
  readonly threw?: { readonly message: string; readonly stack: string }
}

export interface HttpItem {
  readonly type: 'http'
  readonly note?: string
  readonly method: string
  readonly url: string
  readonly requestBody?: unknown
  readonly requestHeaders?: Readonly<Record<string, string>>
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
}

export interface ClientRpcItem {
  readonly type: 'clientRpc'
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly requestBody: string
  readonly status: number
  readonly resHeaders: Readonly<Record<string, string>>
  readonly resBody: string | Cut
}

export interface NoteItem {
  readonly type: 'note'
  readonly note: string
}

export type TraceItem = OrchestrationItem | ActivityItem | HttpItem | ClientRpcItem | NoteItem

const folder = path.join(import.meta.dirname, '../../../golden/durable')

/** Names of all recordings, in order: `s01`, `s02`, … */
export const recordingNames = (): string[] =>
  readdirSync(folder)
    .filter((file) => /^s\d+(-run\d)?\.json$/.test(file))
    .map((file) => file.replace('.json', ''))
    .sort()

export const readRecording = (name: string): Recording =>
  JSON.parse(readFileSync(path.join(folder, `${name}.json`), 'utf8'))

/** The functions of all recorded apps: the recording process had them all loaded, while each recording has only its own. */
export function wholeSource(): string {
  const parts = new Map<string, string>()
  for (const name of recordingNames())
    for (const part of readRecording(name).source.split(/^(?=\/\/ ---- )/m))
      parts.set(part.split('\n', 1)[0] ?? '', part)
  return [...parts.values(), missingSource].join('\n')
}

/** Two orchestrators that one recording calls and none contains; written from the answers that were recorded. */
const missingSource = `// ---- s03.js
const df = require('durable-functions');
df.app.orchestration('S03', function* (context) {
  const child = (i, id) => context.df.callSubOrchestrator('S03sub', { i }, id);
  const id = context.df.instanceId;
  return yield context.df.Task.all([child(1), child(2, id + ':sub2'), child(3, id + ':sub3')]);
});
df.app.orchestration('S03sub', function* (context) {
  const { i } = context.df.getInput();
  const r = yield context.df.Task.all([context.df.callActivity('Hello', i + 'a'), context.df.callActivity('Hello', i + 'b')]);
  return { r, parent: context.df.parentInstanceId, self: context.df.instanceId };
});
`

export const isCut = (value: unknown): value is Cut =>
  typeof value === 'object' && value !== null && '$long' in value && 'sha256' in value
