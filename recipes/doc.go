// Package recipes is the kit that Conclave's recipes are built from, and yours
// can be: a line of contenders that one at a time hold something, and what such
// a hold means. It knows nothing but the contract in keeper, so it runs on
// client.Client, on the go-zookeeper adapter, and on a fake of yours.
//
//   - [Line] is a directory of ephemeral sequential nodes of which the lowest
//     holds. Acquire waits for that, TryAcquire does not.
//   - [Hold] is what the lowest has: a Context that ends with it, Valid, a fencing
//     Token, a Guard for a Multi, Commit, Release.
//   - [Names] is how nodes are called and ordered; the layout is Curator's, so that
//     programs in other languages can stand in the same line.
//   - [Journal] applies a Multi exactly once, also when its answer is lost.
//   - [EnsureDir] makes a recipe's directory.
//
// # What every line guarantees
//
// A node is created with a UUID in its name, so that after a lost answer it can
// be found again instead of being made twice, and deleted by a name nobody else
// has. No exit leaves a node behind: after an error, a cancelled context, or a
// lost answer it is removed in the background, in the session's Go, until it is
// gone or the session has ended. A hold begins only when the list shows the own
// node, nobody before it, and the session has been proved to live by an answer
// that needed the leader.
//
// Each waiter watches only the contender right ahead of it and lists again
// whatever wakes it up, so a release wakes one waiter, and a waiter whose
// predecessor gives up does not take that for its turn.
//
// # What it leaves behind
//
// A process that crashes leaves its ephemeral nodes to its session: others wait
// for the session timeout, no longer. Directories are containers, which the
// server removes once they are empty.
package recipes
