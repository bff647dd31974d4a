// Package l1 tries every single fault at every request of a use of the library.
//
// A [Script] is such a use, of a lock or an election, by a victim and its rivals.
// [Run] plays it once undisturbed, on an in-process server in virtual time, and
// notes each frame that the victim sends. Then it plays it again once per frame
// and [Fault]: the connection is cut before or after the request is applied, the
// session ends, the answer never comes, the caller gives up.
//
// After each play the same must hold:
//
//   - The script has ended in bounded time, with no error or one that it declares.
//   - Fencing tokens grow from grant to grant, in the order in which the server
//     let the nodes come to the front; two holds are never valid at once.
//   - Whatever was done under the lock is not lost: an unfenced counter, as long
//     as holds were valid, and a fenced one in any case.
//   - A lost connection alone costs nobody a hold.
//   - Somebody else can have the lock within a session timeout and a tick, nothing
//     stays in the directory, and the victim itself can go on.
//   - Shutdown ends every session and every goroutine.
//
// Where a fault ends a session by force, which no client can foresee, holds may
// overlap for as long as it takes to hear of it, which is bounded by [Grace].
//
// Each play is a subtest named by script, frame and fault, so it can be run
// alone:
//
//	go test ./internal/l1 -run 'TestMutex/holds/sync-1/cut-after$' -v
//
// The program in mutants breaks the library on purpose, once for each line of
// testdata/mutants.txt, and requires that a script here notices: make mutants.
package l1
