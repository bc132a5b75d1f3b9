import { Agent, request } from 'node:http'

// The clients, in a process of their own, so that their memory is not the server's. Each tenth one reads nothing.
const [url = '', count = '1'] = process.argv.slice(2)
const agent = new Agent({ maxSockets: Infinity })
let heartbeats = 0
let ended = 0

function openStream (index: number): Promise<void> {
  const body = JSON.stringify({ user_id: String(index), message: 'Talk' })
  const headers = { 'content-type': 'application/json', accept: 'text/event-stream', 'content-length': Buffer.byteLength(body) }
  return new Promise((resolve, reject) => {
    request(`${url}/api/chat`, { method: 'POST', agent, headers }, response => {
      if (response.statusCode !== 200) reject(new Error(`The service answered ${response.statusCode}`))
      resolve()
      if (index % 10 === 0) return
      response.setEncoding('utf8').on('data', text => {
        heartbeats += String(text).split('\n: ').length - 1 + (String(text).startsWith(': ') ? 1 : 0)
        if (String(text).includes('event: message')) ended++
      })
    }).on('error', reject).end(body)
  })
}

process.on('message', () => {
  process.send?.({ heartbeats, ended })
})
await Promise.all(Array.from({ length: Number(count) }, async (_, index) => { await openStream(index) }))
process.send?.('open')
