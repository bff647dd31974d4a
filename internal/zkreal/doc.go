// Package zkreal runs a real Apache ZooKeeper as a child process of a test
// binary, from the jars that Debian's package zookeeper installs.
//
//	func TestMain(m *testing.M) { zkreal.Main(m) }
//
//	func TestSomething(t *testing.T) {
//		if zkreal.Embedded() {
//			return
//		}
//		server := zkreal.Shared(t) // one per test binary, started on first use
//		…                          // dial server.Addr()
//	}
//
// A test that asked for a server and cannot have one fails and says what to
// install. It is never skipped: whoever wants the tests without a real server
// says so with CONCLAVE_TEST=embedded.
//
// The servers listen on loopback only. On Linux the kernel kills them when the
// test binary dies, however it dies; elsewhere a binary that is killed leaves
// its server behind.
package zkreal
