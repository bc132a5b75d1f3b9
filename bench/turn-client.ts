import { Agent, request } from 'node:http'
import { measureTurns, readLoad } from './measure.ts'

// The clients, in a process of their own, so that their work is not the server's.
const [addresses = '', ...load] = process.argv.slice(2)
// Several replicas are asked in turn, as a balancer would.
const urls = addresses.split(',')
let asked = 0
const agent = new Agent({ keepAlive: true })

function turn (person: string): Promise<void> {
  const body = JSON.stringify({ user_id: person, message: 'Hello' })
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
    request(`${urls[asked++ % urls.length]}/api/chat`, { method: 'POST', agent, headers }, response => {
      response.resume().on('end', () => {
        if (response.statusCode === 200) resolve()
        else reject(new Error(`The service answered ${response.statusCode}`))
      })
    }).on('error', reject).end(body)
  })
}

await measureTurns({ clients: 10, turnsPerClient: 20, turnsPerPerson: 10 }, turn)
process.stdout.write(JSON.stringify(await measureTurns(readLoad(load), turn)))
agent.destroy()
