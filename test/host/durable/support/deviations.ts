import type { DurableEngineOptions } from '../../../../local/host/durable/engine.ts'

/** Where this engine is meant to differ from a recording. */
export interface Deviations {
  /** What the scenario shows, for the table. */
  readonly features: string
  /** By the end of an instance id: refused, with a text like this, where the real engine hangs or corrupts. */
  readonly refused: Readonly<Record<string, RegExp>>
  /** Differences that contain one of these are expected; each has its reason next to it. */
  readonly accepted: readonly string[]
  /** HTTP calls that name one of these are left out: what they ask of was refused or is not implemented. */
  readonly skipHttp: readonly string[]
  /** Part of the URL of a call that answers 501, and the instance that is not followed from there on. */
  readonly notImplemented: Readonly<Record<string, string>>
  /** Instances whose turns depend on how early the real engine fires its timers. */
  readonly notFollowed: readonly string[]
  /** The activity whose first run never answers, because its host is killed. */
  readonly silentOnce?: string
  readonly engineOptions?: Partial<DurableEngineOptions>
}

const as = (features: string, rest: Partial<Deviations> = {}): Deviations => ({
  features,
  refused: {},
  accepted: [],
  skipHttp: [],
  notImplemented: {},
  notFollowed: [],
  ...rest,
})

const unknownName = /no (activity|orchestrator) named/
const secondCompound = /put into a second Task.all or Task.any/
const caught = /failed Task.all was caught/
const ownId = /given the id of its own parent/
const idInUse = /given the id '.*', whose instance is/
const noCallHttp = /does not implement callHttp/

const pools = {
  refused: {
    S20http: noCallHttp,
    S20anyThenAll: secondCompound,
    S20dynamicPool: secondCompound,
    S20dynamicPoolRetry: secondCompound,
    S20subOwnId: ownId,
    subRunning: idInUse,
  },
  // The child that the real engine puts in place of a running instance.
  notFollowed: ['s20-vnszi-busy', 's20-v4khw-busy'],
  // Of five starts of one id at once the real engine answered 202 to three, though one execution ran; here one wins.
  accepted: ['/S20echo/s20-vnszi-race', '/S20echo/s20-v4khw-race'],
}

/** By scenario; a recording that is not named here is played like any other, with no deviation. */
const deviations: Readonly<Record<string, Deviations>> = {
  s01: as('activity'),
  s02: as('Task.all, retries, ids after retries'),
  s04: as('failures caught; unknown names', { refused: { 's04-vnszi-2': unknownName, 's04-vnszi-3': unknownName } }),
  s05: as('failures uncaught, last retry, sub-orchestration retries, retry timeout', {
    refused: { S05timeout: /retryTimeoutInMilliseconds/ },
  }),
  s06: as('timer against activity, cancelled timer, late completion'),
  s07: as('external events, timers, bad bodies'),
  s08: as('continueAsNew, custom status, events across generations'),
  s09: as('Task.all and Task.any with retries; caught failures', { refused: { S09a: caught, S09e: caught } }),
  's09-run1': as('the same again', { refused: { S09a: caught, S09e: caught } }),
  s11: as('entities: not implemented', {
    refused: { 's11-vnszi-1': /signalling an entity/, 's11-vnszi-lock': /entity locks/ },
    skipHttp: ['/entities/', '@acc@k', '@acc@L', 'Prefix=@acc'],
  }),
  s13: as('terminate, suspend, resume, purge, restart, unknown and finished instances; rewind: not implemented', {
    notImplemented: {
      's13-vnszi-rw/rewind?reason=fixed': 's13-vnszi-rw',
      's13-vnszi-rwp/rewind?reason=fixed': 's13-vnszi-rwp',
    },
  }),
  s14: as('lists, filters, pages, showHistory, purge by filter', {
    // The text of a storage error for top=-1.
    accepted: ['top=-1 body/Exception'],
  }),
  s15: as('large inputs, outputs and custom status'),
  s16: as('odd inputs, outputs and throws', { refused: { retthrowUndef: /neither finished nor waits/ } }),
  s17: as('worker dies in an activity and in an orchestrator'),
  s18: as('timers of the past; longer than one timer may be', {
    refused: { 's18-vnszi-any': /timer longer than/ },
    notFollowed: ['s18-vnszi-long'],
    engineOptions: { timerLimits: { maximumShortTimerMs: 5000, longRunningTimerIntervalMs: 3000 } },
  }),
  s19: as('non-determinism, three forms', {
    // The real engine still carries out what does not fit, and then cannot always show its own history.
    accepted: [
      's19-vnszi-rename?showHistory',
      's19-vnszi-rename Echo',
      's19-vnszi-insert?showHistory=true&showHistoryOutput=true body/historyEvents',
    ],
  }),
  s20: as('left-over timers, pools, sub ids, start race, suspend with activity, terminate while Pending', pools),
  's20-run1': as('the same again', pools),
  s21: as('host killed in an activity', { silentOnce: 'SleepOnce' }),
  s22: as('failure details, event and timer patterns', {
    refused: { S22nonRetriable: /non-retriable failure details/ },
  }),
  s24: as('all client methods, activity concurrency', { skipHttp: ['/entities/', '@acc'] }),
  s25: as('a job: child per disk, deadline, cancel'),
  s26: as('a job with lanes: three levels, continueAsNew'),
}

export const deviationsOf = (name: string): Deviations => deviations[name] ?? as('')
