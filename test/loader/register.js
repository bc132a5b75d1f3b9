import { register } from 'node:module'

// Lets Node.js run the TypeScript of this repository: `node --import=./test/loader/register.js src/server.ts`.
register('./hooks.js', import.meta.url)
