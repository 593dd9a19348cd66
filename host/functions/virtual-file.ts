// The name that a version's code goes by in stacks; apart from what maps them, which no thread of a function needs.

/** Under which the loader compiles a version, so that frames tell versions of one function apart. */
export const virtualFile = (name: string, version: string): string =>
  `millrace://${name}@${version}.js`
