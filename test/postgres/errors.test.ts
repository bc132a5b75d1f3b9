import t from 'tap'
import { explainPostgresError, isConnectionLost, isCutOff, isLeaseLost, isWriteRefused } from '../../src/postgres/errors.ts'

const coded = (code: string, message = 'secret of somebody'): Error => Object.assign(new Error(message), { code })

t.test('an operator is told why in words that repeat nothing of the error', async t => {
  for (const [error, reason] of [
    [coded('28P01'), /password/], [coded('3D000'), /no such database/], [coded('53300'), /connections are taken/], [coded('53100'), /full/],
    [coded('57P01'), /stopping or starting/], [coded('57014'), /too long/], [coded('25006'), /read-only/], [coded('42P01'), /migrations/],
    [coded('ENOTFOUND'), /name is not known/], [coded('ECONNREFUSED'), /nothing listens/], [coded('ECONNRESET'), /lost/], [coded('SELF_SIGNED_CERT_IN_CHAIN'), /TLS/],
    [new Error('The server does not support SSL connections'), /does not speak TLS/], [new Error('timeout exceeded when trying to connect'), /no connection was free/],
    [new Error('Connection terminated unexpectedly'), /lost/], [new Error('Query read timeout'), /does not answer/],
    [new AggregateError([coded('ECONNREFUSED'), coded('ECONNREFUSED')]), /nothing listens/], [coded('XX000'), /reports XX000/], [new Error('secret'), /unexpected/], ['x', /unexpected/]
  ] as const) {
    t.match(explainPostgresError(error), reason)
    t.notMatch(explainPostgresError(error), /secret/)
  }
})

t.test('a connection that broke is told from one that could not be had, and from an error of the statement', async t => {
  for (const error of [coded('57P01'), coded('08006'), coded('ECONNRESET'), coded('EPIPE'), new Error('Connection terminated unexpectedly')]) {
    t.same([isConnectionLost(error), isCutOff(error)], [true, true], error.message)
  }
  for (const error of [
    coded('ECONNREFUSED'), coded('ENOTFOUND'), coded('57P03'), new Error('timeout exceeded when trying to connect'), new Error('Query read timeout'),
    new Error('Connection terminated due to connection timeout'), new Error('Cannot use a pool after calling end on the pool')
  ]) {
    t.same([isConnectionLost(error), isCutOff(error)], [true, false], error.message)
  }
  for (const error of [coded('23505'), coded('57014'), coded('HL001'), new Error('x'), 'x']) t.same([isConnectionLost(error), isCutOff(error)], [false, false])
})

t.test('a lease that is lost, and a server that takes no changes, have codes of their own', async t => {
  t.same([isLeaseLost(coded('HL001')), isLeaseLost(coded('57P01'))], [true, false])
  t.same([isWriteRefused(coded('25006')), isWriteRefused(coded('53100')), isWriteRefused(coded('23505'))], [true, true, false])
})
