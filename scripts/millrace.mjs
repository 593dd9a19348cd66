// The command line of a checkout: builds, then runs in this very process, so that signals reach the host itself.
import './build.mjs'

await import('../dist/host/main.js')
