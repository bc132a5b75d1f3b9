/** An ordinary user by numbers: a container has no names for the users of its host. */
export interface User {
  readonly uid: number
  readonly gid: number
}
