// Package zktest starts an in-process ZooKeeper server for a test.
//
//	srv := zktest.Start(t)
//	// dial srv.Addr(), or hand srv.Dial to client.WithDialer
//
// The server is a [zkserver.Server] with everything it can do: Expire, Cut,
// Freeze, Inject, Counts, History. In a testing/synctest bubble use PipeOnly and
// dial with Dial: time is virtual then.
package zktest
