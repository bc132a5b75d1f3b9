import { createHash } from 'node:crypto'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Ours alone, so that no other program derives the same ids from the same names. */
const NAMESPACE = Buffer.from('6f1c2a5e0b7d4c41a8f3d2be94c7035a', 'hex')

/**
 * The id of a thread on a LangGraph server, which takes UUIDs alone: the thread's own id if it is one, else one that is always the same for it
 * (version 5, RFC 9562). Ids that differ in case alone stay apart.
 */
export function deriveThreadId (threadId: string): string {
  if (UUID.test(threadId)) return threadId
  const bytes = createHash('sha1').update(NAMESPACE).update(threadId).digest().subarray(0, 16)
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x50, 6)
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
