import type { BaseStore, Item } from '@langchain/langgraph-checkpoint'

/** Namespaces, and items, asked for at once. */
const PAGE = 1000

/** Ends a label, in a text that is compared. */
const LABEL_END = '\u001f'

/** All that agents remember, namespace by namespace, in the order in which it was put there. */
export async function * walkNotes (notes: BaseStore): AsyncGenerator<Item> {
  for (let offset = 0; ; offset += PAGE) {
    const namespaces = await notes.listNamespaces({ limit: PAGE, offset })
    for (const namespace of namespaces) yield * walkNamespace(notes, namespace)
    if (namespaces.length < PAGE) return
  }
}

/** A search finds what lies in the namespaces below, too. */
async function * walkNamespace (notes: BaseStore, namespace: string[]): AsyncGenerator<Item> {
  const path = namespace.join(LABEL_END)
  for (let offset = 0; ; offset += PAGE) {
    const items = await notes.search(namespace, { limit: PAGE, offset })
    yield * items.filter(item => item.namespace.join(LABEL_END) === path)
    if (items.length < PAGE) return
  }
}

/** The same text for the same note, wherever it lies. */
export function describeNote ({ namespace, key, value, createdAt, updatedAt }: Item): string {
  return JSON.stringify([namespace, key, value, createdAt.getTime(), updatedAt.getTime()])
}
