/** Tags by which this project knows its own resources again. */
export const vmTag = 'deltavault-vm'
/** Of what was taken for a recovery point. */
export const recoveryPointTag = 'deltavault-recovery-point'
/** Which disk of the VM a snapshot is of: its label. */
export const diskTag = 'deltavault-disk'
/** Which restore made a disk. */
export const jobTag = 'deltavault-job'

/** The value of a tag; names compare without case, as Azure Resource Manager has it. */
export const tagOf = (resource: { readonly tags?: Record<string, string> }, name: string): string | undefined =>
  Object.entries(resource.tags ?? {}).find(([own]) => own.toLowerCase() === name)?.[1]
