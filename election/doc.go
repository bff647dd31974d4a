// Package election elects one leader among many candidates.
//
// Candidates stand in line by order of arrival; the first one leads until it
// resigns, its session ends, or it shuts down. [Election.Campaign] waits for
// leadership and returns it as a hold: a context that ends with the term, a
// fencing token, and Commit, which writes to ZooKeeper only during the term.
// [Election.Run] does that for ever, for services. [Election.Leader] and
// [Election.Observe] tell anybody who leads.
//
// # What is guaranteed
//
//   - Tokens strictly increase from term to term. A guarded write of an earlier
//     term is never applied in a later one.
//   - A leader's context ends before the ensemble can let another one lead because
//     its session expired. Package lock says under which assumptions.
//   - Two terms never overlap in one process: candidates that share an Election take
//     turns, and a term that was lost keeps the next one out until it is released.
//   - No way out of Campaign leaves a candidate behind.
//
// A disconnect that is shorter than about half the session timeout changes
// nothing.
//
// # What it costs
//
// Campaign with nobody ahead is two requests in one round trip, resigning one in
// one. A candidate in line costs a watch and is woken only by the one right ahead
// of it; an observer is woken by the leader only. While somebody leads, its
// session's heartbeat is a sync every tenth of the session timeout.
//
// # What a crash leaves behind
//
// A leader that crashes is followed by the next one when its session expires. The
// directory is a container, which the server removes some time after the last
// candidate has left.
//
// # Other programs on the same path
//
// The layout is that of Curator's LeaderLatch, so Java candidates and observers
// take part. With WithSelectorLayout it is that of Curator's LeaderSelector. The
// two never mix on one path.
package election
