import { surveyStorage } from '../../shared/azure/storage-survey.ts'
import { connectionOf } from '../../shared/config.ts'
import { type Found, notChecked, ok, problem } from './finding.ts'
import type { Environment } from './settings.ts'

const setting = 'AzureWebJobsStorage'
export const hubHint = `Check ${setting} and the firewall of its account. By identity it needs the roles Storage Blob Data Owner, Storage Queue Data Contributor and Storage Table Data Contributor.`

/** Whether the account that Durable Functions keeps its state in answers. */
export async function* checkHub(environment: Environment): AsyncGenerator<Found> {
  const account = environment[`${setting}__accountName`]?.trim()
  const uri = account ? { [`${setting}__blobServiceUri`]: `https://${account}.blob.core.windows.net` } : {}
  const given: Environment = { ...uri, ...environment }
  if (!given[setting]?.trim() && !given[`${setting}__blobServiceUri`]?.trim())
    return yield notChecked(`${setting} is not among these settings. In Azure the function app must have it.`)
  const connection = connectionOf(given, setting)
  if ('problem' in connection) return yield problem(`The setting ${connection.setting} ${connection.problem}.`, hubHint)
  const survey = surveyStorage(connection)
  await survey.listOne()
  yield ok('The blobs of the account of Durable Functions can be listed.')
  const siblings = await survey.siblingsAnswer()
  if (siblings === null) return yield notChecked('Queues and tables: their addresses do not follow from the setting.')
  const silent = (['queue', 'table'] as const).filter((service) => !siblings[service])
  yield silent.length === 0
    ? ok('Its queue and table service answer. Whether the identity may use them shows when the app starts.')
    : problem(`The ${silent.join(' and ')} service of the account does not answer.`, hubHint)
}
