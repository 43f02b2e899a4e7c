import { setTimeout as sleep } from 'node:timers/promises'

/** An answer of the app, with its body parsed where it is JSON (null where it is not). */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: unknown
}

/** One request to the app as any HTTP client makes it. Every status is an answer; only a connection that fails throws.
 * @param url absolute
 * @param body sent as JSON */
const ask = async (method: string, url: string, body?: unknown): Promise<Answer> => {
  const response = await fetch(url, {
    method,
    signal: AbortSignal.timeout(answerSecondsMax * 1000),
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: parseJson(text) }
}

/** The same where only one status is good. A GET that meets a worker which is just dying (5xx) is asked again a few times.
 * @throws with what the app said, in its own words */
export const expectStatus = async (status: number, method: string, url: string, body?: unknown): Promise<Answer> => {
  for (let tries = 1; ; tries += 1) {
    const answer = await ask(method, url, body)
    if (answer.status === status) return answer
    if (method !== 'GET' || answer.status < 500 || tries >= getTriesMax) {
      const said = JSON.stringify(answer.body)
      throw new Error(`${method} ${url} answered ${answer.status} where ${status} was expected: ${said}`)
    }
    await sleep(tries * 500)
  }
}

/** With their pauses about eight seconds: a worker is back in two. */
const getTriesMax = 6
const answerSecondsMax = 60

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
