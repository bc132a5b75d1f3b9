import {
  BaseStore, type Item, type Operation, type OperationResults, type SearchItem, type SearchOperation
} from '@langchain/langgraph-checkpoint'
import { Type } from '@sinclair/typebox'
import { currentLease } from '../../turn-lease.ts'
import { boundNamespaces, formatNamespace, matchesFilter, parseItem, selectNamespaces } from '../items.ts'
import { checkReply, hearRedis } from './failure.ts'
import { NOTES } from './note-lua.ts'
import type { ScriptRunner } from './threads.ts'

const Row = Type.Tuple([Type.String(), Type.String(), Type.String(), Type.String(), Type.String()])
const Found = Type.Union([Type.Null(), Row])
const Rows = Type.Array(Row)
const Paths = Type.Array(Type.String())
const Replies = Type.Array(Type.Unknown())

type Answer = Item | null | SearchItem[] | string[][] | undefined

/**
 * LangGraph's long-term memory in Redis: what an agent keeps beyond a conversation.
 *
 * *Promise.* A `put` is as durable as the server's `appendfsync` makes it when its promise resolves. The operations of one batch are one step, with
 * the check of the lease of the turn that asked, if one of them changes something. A namespace is met label by label: no search finds the notes of
 * somebody whose id begins like another one.
 *
 * *Not promised.* Search by meaning: `query` and `index` are ignored, as LangGraph's stores do without an embedding model. That a search over
 * everybody's notes is cheap: it holds up the server for as long as it takes.
 */
export class RedisNotes extends BaseStore {
  readonly #connection: ScriptRunner
  readonly #now: () => number

  constructor (connection: ScriptRunner, now: () => number) {
    super()
    this.#connection = connection
    this.#now = now
  }

  override async batch<Op extends Operation[]> (operations: Op): Promise<OperationResults<Op>> {
    const args = operations.flatMap(formatOperation)
    const isChange = operations.some(isPut)
    const answer = isChange
      ? this.#connection.run(NOTES, currentLease()?.id ?? '', this.#now(), ...args)
      : this.#connection.read(NOTES, '', this.#now(), ...args)
    const replies = checkReply(Replies, await hearRedis(answer))
    // One result for each operation, in its order: the mapped type cannot be built element by element.
    return operations.map((operation, index) => readAnswer(operation, replies[index])) as OperationResults<Op>
  }
}

function isPut (operation: Operation): boolean {
  return 'value' in operation
}

/** The name of an operation and three texts. */
function formatOperation (operation: Operation): [string, string, string, string] {
  if ('namespacePrefix' in operation) return ['search', ...boundNamespaces(operation.namespacePrefix) ?? ['', ''], '']
  if ('value' in operation) {
    const { namespace, key, value } = operation
    return value === null ? ['delete', formatNamespace(namespace), key, ''] : ['put', formatNamespace(namespace), key, JSON.stringify(value)]
  }
  if ('key' in operation) return ['get', formatNamespace(operation.namespace), operation.key, '']
  return ['list', '', '', '']
}

function readAnswer (operation: Operation, reply: unknown): Answer {
  if ('namespacePrefix' in operation) return search(operation, checkReply(Rows, reply).map(readRow))
  if ('value' in operation) return undefined
  if ('key' in operation) {
    const row = checkReply(Found, reply)
    return row === null ? null : readRow(row)
  }
  return selectNamespaces(checkReply(Paths, reply), operation)
}

/** Oldest first. */
function search ({ filter = {}, limit = 10, offset = 0 }: SearchOperation, items: readonly Item[]): SearchItem[] {
  return items
    .filter(({ value }) => matchesFilter(value, filter))
    .sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime() || Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)))
    .slice(offset, offset + limit)
}

function readRow ([namespace, key, createdMs, updatedMs, value]: readonly [string, string, string, string, string]): Item {
  return parseItem({ namespace, key, value, createdMs: Number(createdMs), updatedMs: Number(updatedMs) })
}
