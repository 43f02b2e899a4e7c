import { idleCollector, none, records, type World } from './collection-state.ts'
import { ended } from './collector-looks.ts'
import { collectorSteps } from './collector-steps.ts'
import { replace, unnamed } from './names-in-vault.ts'
import type { Protocol } from './protocols.ts'

/** Ends everything as the supervisor would after all workers died at this state, then lets a collector make passes that nobody disturbs, by the
 * steps above. What is left is what the commit records name, or there is garbage that stays. */
export const leftAfterQuiet = (protocol: Protocol, world: World): string | null => {
  let now = settled(world)
  for (let pass = 0; pass < 2; pass += 1) {
    now = { ...now, collectors: [idleCollector, now.collectors[1]] }
    while (now.collectors[0].at < ended) {
      const [first] = collectorSteps({ ...protocol, resumesPasses: false }, now, 0)
      if (first === undefined) throw new Error('a pass does not end')
      now = first.next
    }
  }
  const left = unnamed(protocol, now)
  if (left !== none) return `two quiet passes leave garbage (${left.toString(16)})`
  return now.compaction.markers === 0 ? null : 'two quiet passes leave markers'
}

const settled = (world: World): World => {
  const points = world.points.map((point) => ({
    ...point,
    intent: 0,
    record: point.record === records.absent && point.at > 0 ? records.aborted : point.record,
  })) as unknown as World['points']
  const { compaction, collectors } = world
  const target = compaction.target - 1
  const isOpen = compaction.intent === 1 && points[target]?.record === records.first
  const lists = collectors.filter(({ hasList }) => hasList === 1)
  const left = {
    ...idleCollector,
    at: ended,
    hasList: lists.length === 0 ? 0 : 1,
    condemned: lists.reduce((all, { condemned }) => all | condemned, none),
    condemnedPoints: lists.reduce((all, { condemnedPoints }) => all | condemnedPoints, 0),
  }
  return {
    ...world,
    points: isOpen ? replace(points, target, { record: records.fenced }) : points,
    compaction: { ...compaction, intent: 0, markers: compaction.intent === 1 ? 0 : compaction.markers },
    restore: { ...world.restore, intent: 0 },
    collectors: [idleCollector, left],
  }
}
