// Loaded by tap before each test file, which it has read by esbuild: tap's own way to TypeScript takes two seconds more of a processor
// for each file. TAP_TYPE_STRIP_ONLY, among the settings of tap in package.json, keeps that from being loaded, too.
import 'tsx'
