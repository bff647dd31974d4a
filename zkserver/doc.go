// Package zkserver is an Apache ZooKeeper server inside the process, for tests
// and first steps. It speaks the real protocol on TCP and on in-memory pipes, so
// that any client can use it and testing/synctest works with it. It keeps
// nothing; production is an Apache ZooKeeper ensemble.
//
//	srv, err := zkserver.New(zkserver.Options{})
//	addr, err := srv.Listen("127.0.0.1:0") // or dial with srv.Dial
//	defer srv.Close()
//
// # What it promises
//
// It behaves as a single ZooKeeper 3.8 does: requests of all connections go
// through one pipeline in the order they arrive, so it is linearizable; error
// codes, the order of checks, zxids, stats, sequence numbers, watches and their
// order, and the expiry of sessions are those of the real server. What differs:
// session passwords are random, there is no persistence, no SASL and no quota,
// and requests that ruin a real server (a check outside a multi, a TTL create
// without a TTL) are refused.
//
// Hostile input never panics, and a connection takes bounded memory; what
// clients store in the tree is not bounded. There is no transport encryption,
// and whoever can connect can do what a client can do: listen on loopback.
//
// # Faults
//
// Expire, Cut, Refuse, Freeze and Inject make happen what a network and an
// ensemble do to a client, at an exact request. Counts tells what clients cost,
// and History what was committed: it is the oracle for checkers.
//
// # Time
//
// All time is that of package time: inside a synctest bubble the server must be
// made, used and closed inside the bubble. It sets a timer only while there are
// sessions, containers or TTL nodes.
package zkserver
