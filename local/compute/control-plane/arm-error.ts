/** One entry of an error's `details`, as Azure Resource Manager sends it. */
export interface ArmErrorDetail {
  readonly code: string
  readonly message: string
  readonly target?: string
}

interface ArmErrorShape {
  readonly status: number
  readonly code: string
  readonly message: string
  readonly target?: string
  readonly details?: readonly ArmErrorDetail[]
  readonly headers?: Readonly<Record<string, string>>
  /** The resource provider's throttling answers come without the `error` envelope. */
  readonly unwrapped?: boolean
}

/** A refusal on its way to the caller: HTTP status and the body `{error:{code,message,…}}` of Azure Resource Manager. */
export class ArmError extends Error {
  override readonly name = 'ArmError'
  readonly status: number
  readonly code: string
  readonly headers: Readonly<Record<string, string>>
  /** The JSON body to send. */
  readonly body: Readonly<Record<string, unknown>>

  constructor(shape: ArmErrorShape) {
    super(shape.message)
    this.status = shape.status
    this.code = shape.code
    this.headers = shape.headers ?? {}
    const error = {
      code: shape.code,
      message: shape.message,
      ...(shape.target === undefined ? {} : { target: shape.target }),
      ...(shape.details === undefined ? {} : { details: shape.details }),
    }
    this.body = shape.unwrapped === true ? error : { error }
  }
}

/** 400 for a value that the service does not take; `target` is its path in the body or its query name. */
export const invalidParameter = (target: string, message: string): ArmError =>
  new ArmError({ status: 400, code: 'InvalidParameter', message, target })

/** 400 `BadRequest`, as the disk service answers where a size or a request does not fit the disk. */
export const badRequest = (message: string): ArmError => new ArmError({ status: 400, code: 'BadRequest', message })

/** 409 `Conflict`: another operation or a live access stands in the way; the same request may succeed later. */
export const conflict = (message: string): ArmError => new ArmError({ status: 409, code: 'Conflict', message })

/** 409 `OperationNotAllowed`: the resource's state or a limit forbids it. */
export const operationNotAllowed = (message: string): ArmError =>
  new ArmError({ status: 409, code: 'OperationNotAllowed', message })

/** 409 `PropertyChangeNotAllowed`: a PUT would change what is fixed at creation. */
export const propertyChangeNotAllowed = (property: string): ArmError =>
  new ArmError({
    status: 409,
    code: 'PropertyChangeNotAllowed',
    message: `Changing property '${property}' is not allowed.`,
    target: property,
  })

/** 404 for a named resource. `typePath` is like `Microsoft.Compute/disks/os-disk`. */
export const resourceNotFound = (typePath: string, resourceGroup: string): ArmError =>
  new ArmError({
    status: 404,
    code: 'ResourceNotFound',
    message: `The Resource '${typePath}' under resource group '${resourceGroup}' was not found.`,
  })

/** 404 for a child of a resource that is not there. */
export const parentResourceNotFound = (childType: string, parent: string): ArmError =>
  new ArmError({
    status: 404,
    code: 'ParentResourceNotFound',
    message: `Failed to perform 'write' on resource(s) of type '${childType}', because the parent resource '${parent}' could not be found.`,
  })
