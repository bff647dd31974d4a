// Package gozk lets the recipes run on a *zk.Conn of github.com/go-zookeeper/zk
// that a service already has: one connection, one session, no second client.
//
//	var feed gozk.Feed
//	conn, _, err := zk.Connect(servers, timeout, zk.WithEventCallback(feed.Callback))
//	…
//	c, err := gozk.New(conn, nil, gozk.WithFeed(&feed), gozk.WithSessionTimeout(timeout))
//	…
//	mu, err := lock.New(c, "/locks/report")
//
// It is written against v1.0.4 and makes good what it can of that version's
// defects; client.Client, the project's own core, has none of the limits below.
// Take it where the connection is yours to choose.
//
// # What to tell it
//
// go-zookeeper does not tell the negotiated session timeout, so
// [WithSessionTimeout] is required, and what a hold's validity is worth hangs on
// it: it must not exceed what the servers grant.
//
// It also does not tell reliably when the connection changes. With a [Feed] the
// adapter misses nothing. With the event channel of zk.Connect, which drops
// events when six are waiting, or with nothing, it finds out by a watch on a node
// that does not exist and by looking at the state up to once a second: sessions,
// their end and the end of the *zk.Conn are found just the same, but a quick
// reconnect can go unseen. Then it takes up to a session timeout until a change
// of a watched node that go-zookeeper has missed is noticed, and the adapter
// reads every watched node once per session timeout to that end.
//
// # What is as in the client core
//
// Sessions end and never turn into another one; outcomes are told apart;
// contexts end calls at once; ValidUntil rests on answers of the leader, with a
// sync every tenth of the timeout while something is held. Also:
//
//   - Requests wait for the connection in the adapter, not in go-zookeeper's
//     queue, which runs what is left in it in the next session. A request that
//     is caught there all the same, because the connection broke the moment it
//     was handed over, is Unknown, and an ephemeral node it made in the next
//     session is removed before that session is given out.
//   - Watches on one node share one watch of go-zookeeper. After every reconnect
//     that is noticed the adapter sets them again itself and compares, because
//     go-zookeeper can lose changes, and watches, without a word.
//   - Codes that go-zookeeper gives as text are codes again.
//
// # What differs
//
//   - Requests of one Do go out one after the other, each when the one before is
//     answered (no [keeper.FeaturePipelining]). After a lost connection the rest
//     is not sent; after an answer with an error it is.
//   - A Create takes two round trips: the second one reads the Stat, for its
//     Czxid, and is repeated in the same session until it succeeds or the context
//     ends. If the Stat cannot be had (cancelled, expired, no READ permission,
//     deleted by somebody) Create fails with an error whose outcome is Applied,
//     and Created holds the path: the node was made, and may be there. If
//     somebody replaces a persistent node in between, Stat is the replacement's;
//     of an ephemeral one that is noticed. Creates in a Multi have no Stat.
//   - A Multi cannot make container or TTL nodes: errors.ErrUnsupported.
//   - Result.Xid and Result.Zxid stay 0.
//   - Closing a watch forgets the handle. go-zookeeper cannot remove the watch
//     (no [keeper.FeatureUnwatch]): it stays, for the next handle on the node,
//     until it fires or the session ends. Each reconnect adds a channel to a
//     watch that has handles.
//   - An event can reach its watch a moment after a reply that shows its change.
//   - A server that stops answering is not left after a quarter of the timeout:
//     go-zookeeper waits for two thirds. Holds lapse all the same.
//   - After a reconnect requests wait for a moment, at most 50 ms, until
//     go-zookeeper has sent its watches: else it skips changes (and the race
//     detector reports it).
//   - Right after New on a connection that was up before, the first session is
//     given out after a quarter of the timeout: that is what it takes to prove
//     it. A connection that is established after New needs no such wait.
//   - A call whose context has ended, or that Close cut short, may go on inside
//     go-zookeeper until that returns. Close waits for those, up to the session
//     timeout, and says if some are left.
//   - Credentials, TLS, servers and read-only mode are the business of whoever
//     made the *zk.Conn. Credentials that are refused show as ErrConnectionLoss
//     or ErrNoAuth, never as the end of the session.
//
// # What cannot be mended here
//
// A hostile or broken server can crash or hang go-zookeeper, and with it the
// process: frames shorter than 16 bytes, a negative vector length, a handshake
// that stops halfway. A caller of zk.Conn.AddAuth on a flaky network can wedge
// it. The adapter keeps what would crash it out of requests, no more.
package gozk
