// Package client is the client core: one [Client] speaks the ZooKeeper protocol
// and gives out successive sessions, each a keeper.Session. It implements
// keeper.Conn, so every recipe runs on it.
//
//	c, err := client.Dial(ctx, "zk1:2181,zk2:2181/app")
//	if err != nil { … }
//	defer c.Close()
//	created, err := c.Create(ctx, "/greeting", []byte("hello"), keeper.Persistent)
//
// # What it guarantees
//
//   - The requests of one Do travel in one write, in order, and each is sent at
//     most once and in one session only. Whether a failed one was applied is
//     told by keeper.OutcomeOf.
//   - Requests of many goroutines share writes: that is automatic pipelining.
//   - An event reaches its watch before any later reply shows the change. After
//     a reconnect credentials go first, then the watches, then user requests.
//   - A watch ends with exactly one event, with an error if it was lost.
//   - Session.ValidUntil is proved by answers of the leader only, see [keeper.Session].
//   - No byte a server sends makes the Client panic, hang or allocate more than
//     its limits; a malformed frame costs the connection.
//   - Close and Shutdown leave no goroutine of the Client behind.
//
// It assumes that a net.Conn's Close unblocks its reads and writes, that a
// dialer honours its context, and that the local monotonic clock runs less than
// 1/20 slower than the servers'.
//
// # Goroutines
//
// A started Client runs one goroutine that owns the session's life, one for an
// attempt to connect while there is one, and a writer and a reader for each
// connection. Callbacks and functions given to Session.Go run on their own.
package client
