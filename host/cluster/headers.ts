// Headers of requests between instances, and of their answers.

/** The instance that is asked: another may have come to its address. */
export const askedHeader = 'millrace-to'
/** In each answer: whatever else answers at the address does not have it. */
export const answersHeader = 'millrace-instance'
