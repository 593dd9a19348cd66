// What a person may have a function do.
export const operations = ['pause', 'resume', 'restart'] as const

/**
 * `pause`: it stops at the next record boundary, flushed. `resume`: it goes on, also after it has halted, then at that record.
 * `restart`: its thread is ended, whatever it is at, and started anew from what is flushed.
 */
export type Operation = (typeof operations)[number]

export interface Operator {
  /** Resolves when it is done; false: there is no such function. */
  operate(functionName: string, operation: Operation): Promise<boolean>
}
