// Package keeper is the vocabulary that every level of Conclave speaks: the
// requests a ZooKeeper session can carry, the Session and Conn contracts, Stat,
// ACL, errors with their outcomes, events, watches and paths. It does no I/O.
//
// # The one door
//
// A [Session] has one way in, Do. Requests are plain structs that carry their
// own results, so several of them travel in one round trip:
//
//	me    := &keeper.Create{Path: dir + "/lock-", Mode: keeper.EphemeralSequential}
//	peers := &keeper.Children{Path: dir}
//	err   := s.Do(ctx, me, peers)
//	// me.Created, me.Stat.Czxid, peers.Names
//
// ZooKeeper answers the requests of one session in order, so the list above was
// made after the create. That is pipelining, not atomicity: the create may be
// applied and the list lost. [Multi] is atomic.
//
// # Three outcomes
//
// After a failure there is one question: did it happen? [OutcomeOf] answers
// with [NotApplied], [Applied] or [Unknown]. Ask it of each request's own Err,
// not of Do's error, which is only the first one.
//
// Implementations of Conn are client.Client, which speaks the protocol itself,
// and the adapter over go-zookeeper/zk in adapter/gozk.
package keeper
