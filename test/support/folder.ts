// A folder of a test's own, which goes when what the test has opened in it is closed.
import type { Test } from 'tap'

/**
 * Goes after all that the test tears down. tap's own `testdir` goes before it if it is called first: both wrap the test's end, and
 * the later wrapper is the outer one. Then a log or a host still writes into what is being removed, and nobody closes it.
 */
export function testFolder(t: Test, content: Parameters<Test['testdir']>[0] = {}): string {
  t.teardown(() => {})
  return t.testdir(content)
}
