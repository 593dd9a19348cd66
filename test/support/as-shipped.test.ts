import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import t from 'tap'

const told = 'JSON.stringify([process.env.NODE_OPTIONS ?? "", ...process.execArgv])'

t.test('a process that a test starts has nothing of the test', async (t) => {
  const source = `console.log(${told})`
  t.notMatch(
    execFileSync(process.execPath, ['-e', source], { encoding: 'utf8' }),
    /@tapjs|typescript/,
  )
  const env = { ...process.env, FURTHER: 'yes' }
  t.notMatch(
    execFileSync(process.execPath, ['-e', source], { encoding: 'utf8', env }),
    /@tapjs|typescript/,
    'nor with an environment of its own',
  )
})

t.test('nor has a thread', async (t) => {
  const source = `require('node:worker_threads').parentPort.postMessage(${told})`
  const worker = new Worker(source, { eval: true })
  const [found] = await once(worker, 'message')
  t.notMatch(found, /@tapjs|typescript/)
  await worker.terminate()
})
