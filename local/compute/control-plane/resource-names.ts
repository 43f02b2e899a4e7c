import { invalidParameter } from './arm-error.ts'

/** Disk names: letters, digits, `_`, `-`, at most 80 (REST reference of disks). */
const diskName = /^[A-Za-z0-9_-]{1,80}$/

/** Names of snapshots, restore points, their collections and VMs: 1 to 80 characters, begins with a letter or digit, ends with
 * one or `_`, between them also `.` and `-` (naming rules of Microsoft.Compute). */
const otherName = /^[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?$/

/** @throws ArmError 400 `InvalidParameter` with the parameter's name as target */
export const requireDiskName = (name: string): void => check(diskName, name, 'diskName')

/** @param parameter the name's parameter in the specification, such as `snapshotName`
 * @throws ArmError 400 `InvalidParameter` */
export const requireResourceName = (name: string, parameter: string): void => check(otherName, name, parameter)

/** Whether a name may be that of a disk, for the fleet file. */
export const isDiskName = (name: string): boolean => diskName.test(name)

/** Whether a name may be that of a VM, for the fleet file. */
export const isResourceName = (name: string): boolean => otherName.test(name)

const check = (rule: RegExp, name: string, parameter: string): void => {
  if (!rule.test(name))
    throw invalidParameter(parameter, `The name '${name.slice(0, 100)}' is not valid: it must match ${rule.source}.`)
}
