/** What work comes to, unless the signal aborts before; then its reason is thrown, and the work goes on. */
export function unlessAborted<T> (work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work
  return new Promise((resolve, reject) => {
    const leave = (): void => { reject(signal.reason) }
    if (signal.aborted) leave()
    signal.addEventListener('abort', leave, { once: true })
    work.then(resolve, reject).finally(() => { signal.removeEventListener('abort', leave) })
  })
}
