/** Several ids a key. Most keys have one, which is kept without a Set around it: at 100 000 sessions that is tens of megabytes. */
export class MultiMap {
  readonly #ids = new Map<string, string | Set<string>>()

  get (key: string): Iterable<string> {
    const ids = this.#ids.get(key)
    if (ids === undefined) return []
    return typeof ids === 'string' ? [ids] : ids
  }

  add (key: string, id: string): void {
    const ids = this.#ids.get(key)
    if (ids === undefined || ids === id) this.#ids.set(key, id)
    else if (typeof ids === 'string') this.#ids.set(key, new Set([ids, id]))
    else ids.add(id)
  }

  remove (key: string, id: string): void {
    const ids = this.#ids.get(key)
    if (ids === id) this.#ids.delete(key)
    if (ids === undefined || typeof ids === 'string') return
    ids.delete(id)
    if (ids.size === 0) this.#ids.delete(key)
  }
}
