import t from 'tap'
import { findFaults, type Said, type ToldMessage } from './fixtures/history.ts'

const said = (text: string, answer: string | undefined = `You said: ${text}`): Said => ({ speaker: 'ann', text, answer })
const user = (content: string): ToldMessage => ({ role: 'user', content })
const assistant = (content: string): ToldMessage => ({ role: 'assistant', content: `You said: ${content}` })

t.test('the check of a history finds nothing wrong where nothing is', async t => {
  t.same(findFaults([user('1'), assistant('1'), user('2'), assistant('2')], [said('1'), said('2')]), [])
  t.same(findFaults([user('1'), assistant('1')], [said('1'), { speaker: 'ann', text: '2', answer: undefined }]), [], 'what was not acknowledged may be lost')
})

t.test('the check of a history finds what was lost, came twice, was mixed up or turned around', async t => {
  const both = [said('1'), said('2')]
  t.match(findFaults([user('1'), assistant('1')], both), ['"2" was acknowledged and is lost'])
  t.match(findFaults([user('1'), assistant('1'), user('1'), assistant('1')], [said('1')]), ['"1" is there twice'])
  t.match(findFaults([user('1'), user('2'), assistant('1'), assistant('2')], both), [/followed by user/, /has "You said: 1"/, /answer to nothing/])
  t.match(findFaults([user('2'), assistant('2'), user('1'), assistant('1')], both), ['"1" comes after what was said later'])
  t.match(findFaults([user('3'), assistant('3')], []), ['nobody said "3"'])
  t.match(findFaults([user('1'), assistant('2')], [said('1')]), [/was answered/])
})
