// What a helper needs of whoever uses it: a test, or a program that ends what it has begun.
export interface Scope {
  /** Done at its end, the last one first. */
  teardown(end: () => unknown): void
  /** Says something that is no result. */
  comment(text: string): void
}
