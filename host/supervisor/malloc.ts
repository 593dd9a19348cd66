// How the C library's allocator is set for a host: it reads its settings once, when a process begins.

/**
 * glibc maps large pieces of memory one by one, and gives them back when they are freed, but raises the size from which on it
 * does so with every such piece, up to 32 MB. From then on the buffers of log and tables lie between what threads have allocated, and
 * keep it from being given back when a thread ends: a host took 40 % more, and went on growing with each save. Named, the
 * limits stay where they are, even at their defaults. And it gives each thread an arena of its own, up to eight for each core, between
 * which nothing that is free is shared: with two, memory stays level over thousands of saves, for 5 % of speed at most. Other C libraries
 * ignore both.
 */
export const steadyMalloc = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({
  MALLOC_TRIM_THRESHOLD_: '131072',
  MALLOC_ARENA_MAX: '2',
  ...env,
})
