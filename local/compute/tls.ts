import { X509Certificate } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generate } from 'selfsigned'

export interface TlsIdentity {
  readonly key: string
  readonly cert: string
  /** PEM file for NODE_EXTRA_CA_CERTS of every process that calls the emulator. */
  readonly certificatePath: string
}

const validDays = 3650
const renewDays = 30
const dayMs = 24 * 3600_000

/** The certificate of the control plane, for `127.0.0.1` and `localhost`: kept in the data folder, made anew where it is
 * missing or near its end. The key is readable by its owner only. */
export const loadOrCreateTls = async (folder: string): Promise<TlsIdentity> => {
  const certificatePath = join(folder, 'certificate.pem')
  const keyPath = join(folder, 'certificate-key.pem')
  const [cert, key] = await Promise.all([readText(certificatePath), readText(keyPath)])
  if (cert !== null && key !== null && stillGood(cert)) return { key, cert, certificatePath }
  const made = await createCertificate()
  await writeFile(keyPath, made.private, { mode: 0o600 })
  await writeFile(certificatePath, made.cert)
  return { key: made.private, cert: made.cert, certificatePath }
}

const readText = (path: string): Promise<string | null> => readFile(path, 'utf8').catch(() => null)

const stillGood = (cert: string): boolean => {
  try {
    return new X509Certificate(cert).validToDate.getTime() > Date.now() + renewDays * dayMs
  } catch {
    return false
  }
}

const createCertificate = () =>
  generate([{ name: 'commonName', value: 'Local compute emulator' }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notBeforeDate: new Date(Date.now() - dayMs),
    notAfterDate: new Date(Date.now() + validDays * dayMs),
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', digitalSignature: true, keyCertSign: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 7, ip: '127.0.0.1' },
          { type: 2, value: 'localhost' },
        ],
      },
    ],
  })
