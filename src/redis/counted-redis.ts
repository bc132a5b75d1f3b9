import { Redis, type Command } from 'ioredis'

/** A client that counts its round trips; a pipeline is one. */
export class CountedRedis extends Redis {
  commandCount = 0

  override sendCommand (command: Command, stream?: Parameters<Redis['sendCommand']>[1]): unknown {
    if (stream === undefined || command.pipelineIndex === 0) this.commandCount++
    return super.sendCommand(command, stream)
  }
}
