import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads'
import {
  type Answer,
  carriedError,
  carryError,
  type FromThread,
  type LaneOrder,
  type Question,
  type SliceOrder,
  type ToThread,
  type WorkResult,
} from './transfer-messages.ts'

/** The other end of one piece of work: what the thread that does it cannot know by itself. */
export interface WorkHost {
  readonly signal: AbortSignal | undefined
  answer(question: Question): Promise<Answer>
  onProgress?(progress: (FromThread & { kind: 'progress' })['progress']): void
}

/** Has a thread do one piece of work, answering what it asks, until it has ended.
 * @throws the errors of the work, of their own classes; the signal's reason when aborted; where the thread dies, an error that another
 * try may cure */
export const workIn = async (
  worker: Worker,
  order: Omit<SliceOrder, 'channel'> | Omit<LaneOrder, 'channel'>,
  host: WorkHost,
): Promise<WorkResult> => {
  const { signal } = host
  signal?.throwIfAborted()
  const { port1: channel, port2: far } = new MessageChannel()
  const abort = () => tell(channel, { kind: 'abort' })
  signal?.addEventListener('abort', abort, { once: true })
  const died = deathOf(worker)
  try {
    const ended = endOf(channel, host)
    worker.postMessage({ ...order, channel: far }, [far])
    return await Promise.race([ended, died.promise])
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  } finally {
    signal?.removeEventListener('abort', abort)
    died.forget()
    channel.close()
  }
}

const tell = (channel: MessagePort, message: ToThread): void => channel.postMessage(message)

const endOf = (channel: MessagePort, host: WorkHost): Promise<WorkResult> =>
  new Promise((resolve, reject) => {
    const answer = (question: Question): void => {
      const to = question.of
      host.answer(question).then(
        (value) => tell(channel, { kind: 'answer', to, value }),
        (error: unknown) => tell(channel, { kind: 'unknown', to, error: carryError(error) }),
      )
    }
    channel.on('message', (message: FromThread) => {
      switch (message.kind) {
        case 'progress':
          return host.onProgress?.(message.progress)
        case 'ask':
          return answer(message.question)
        case 'done':
          return resolve(message.result)
        case 'failed':
          return reject(carriedError(message.error))
        default:
          return message satisfies never
      }
    })
  })

/** Rejects when the thread ends before its work does: out of memory, or ended from outside. */
const deathOf = (worker: Worker) => {
  const { promise, reject } = Promise.withResolvers<never>()
  promise.catch(() => undefined)
  const failed = (error: unknown) => reject(new Error(`A transfer thread failed: ${codeOf(error)}.`))
  const exited = () => reject(new Error('A transfer thread ended before its work did.'))
  worker.on('error', failed)
  worker.on('exit', exited)
  return {
    promise,
    forget: () => {
      worker.off('error', failed)
      worker.off('exit', exited)
    },
  }
}

const codeOf = (error: unknown): string => String((error as NodeJS.ErrnoException | null)?.code ?? 'unknown')
