// Loaded before the service: tells whoever asks what it takes, when the garbage is gone.
process.on('message', () => {
  globalThis.gc?.()
  const { rss, heapUsed, external } = process.memoryUsage()
  process.send?.({ rss, heapUsed, external })
})
