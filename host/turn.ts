// The next turn of the event loop, also while a test has put timers of its own in place of Node's.

// Taken now: fake timers are installed later, and would make waiting for a turn wait for the test.
const { setImmediate: nextTurn } = globalThis

/** Resolves when everything has had its turn that was due before. */
export const turn = (): Promise<void> => new Promise<void>((resolve) => void nextTurn(resolve))
