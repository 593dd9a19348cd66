// Holds up a piece of a test until it is let go.

export interface Hold {
  readonly held: Promise<void>
  release(): void
}

export function hold(): Hold {
  let release = () => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  return { held, release: () => release() }
}
