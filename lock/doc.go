// Package lock takes distributed locks.
//
// A [Mutex] has at most one holder among all processes that use the same path on
// the same ensemble. Lock returns a [Held], which says what the holder knows: a
// context that ends when the lock may be lost, a fencing token, and Commit, which
// writes to ZooKeeper only while the lock is held.
//
// # What is guaranteed
//
//   - Tokens strictly increase from holder to holder, across goroutines,
//     processes, languages and re-created directories.
//   - Commit, and any Multi with a Guard in it, is applied only while the lock is
//     held, however late it arrives.
//   - Held.Context ends and Held.Valid turns false before the ensemble can give
//     the lock to anyone else because the session expired.
//   - The lock goes by the order of arrival. Goroutines of one process that share
//     a Mutex queue in the process and have one node in line between them, so
//     processes take turns.
//   - No way out of Lock leaves a node behind: not an error, not a context that
//     ends, not a lost answer.
//
// # What is not
//
// The third point rests on this process not being paused (garbage collection, a
// suspended VM) between asking and acting, and on its clock running no more than
// 1/20 slower than the servers'. No lock service can do better. Somebody who may
// delete nodes in the directory can also take the lock away; that is noticed
// within a tenth of the session timeout. Use Commit or Token wherever a stale
// write would hurt, and an ACL where others share the ensemble.
//
// # What it costs
//
// Lock with nobody ahead is two requests in one round trip, Release one in one.
// With goroutines waiting in the process, Release and the next Lock together are
// three requests in one round trip. A waiter in line costs a watch, and is woken
// only by the one right ahead of it. While a lock is held, the session's
// heartbeat is a sync every tenth of the session timeout.
//
// # What a crash leaves behind
//
// The node of a process that crashes goes when its session expires; until then
// the lock is taken. The directory is a container, which the server removes some
// time after it is empty.
//
// # Other programs on the same path
//
// The layout is that of Curator's InterProcessMutex, so Java programs and
// go-zookeeper's Lock contend correctly for the same path. Kazoo does with
// extra_lock_patterns=["-lock-"]. Kazoo as it comes does not see these nodes: for a
// path shared with it alone, let WithMarkers write "__lock__". No name suits Curator
// and Kazoo's default at once.
package lock
