// The command line of a checkout: builds what has changed, then runs in this very process, so that signals reach the host itself.
import { isBuilt } from './is-built.mjs'

// A second one must not load what this one is writing.
if (!(await isBuilt())) await import('./build.mjs')

await import('../dist/host/main.js')
