// Holds the tasks of a function at a record boundary: as often as somebody wants it, until all of them have let go.
import type { Clock } from './clock.js'
import type { Task } from './task.js'

export interface HoldsOptions {
  readonly clock: Clock
  /** How long an attempt may go on when a record boundary is asked for; then it is given up. */
  readonly attemptGraceMs: number
  /** Those that there are. */
  tasks(): readonly Task[]
}

export class Holds {
  readonly #options: HoldsOptions
  #count = 0
  /** Call off giving up what has not come to its end. */
  readonly #graces = new Set<() => void>()

  constructor(options: HoldsOptions) {
    this.#options = options
  }

  get isHeld(): boolean {
    return this.#count > 0
  }

  /** Every task is held before it returns; it resolves when all are at their boundary, with everything before it flushed. */
  async hold(): Promise<void> {
    const { clock, attemptGraceMs } = this.#options
    this.#count += 1
    const tasks = this.#options.tasks()
    const held = Promise.all(tasks.map((task) => task.hold()))
    const callOff = clock.after(attemptGraceMs, () => {
      for (const task of tasks) task.abandon()
    })
    this.#graces.add(callOff)
    await held
    this.#graces.delete(callOff)
    callOff()
  }

  release(): void {
    this.#count -= 1
    if (this.#count === 0) {
      // Who still waits for what is released waits for nothing: what runs may go on.
      for (const callOff of this.#graces) callOff()
      this.#graces.clear()
    }
    for (const task of this.#options.tasks()) task.release()
  }

  /** One that is made while others are held. */
  join(task: Task): void {
    for (let hold = 0; hold < this.#count; hold += 1) void task.hold()
  }
}
