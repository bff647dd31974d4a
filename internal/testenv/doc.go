// Package testenv runs one test on every way there is to reach a ZooKeeper: our
// client and the adapter over go-zookeeper/zk, each on the in-process server and
// on a real ZooKeeper.
//
//	func TestMain(m *testing.M) { zkreal.Main(m) }
//
//	func TestLockExcludes(t *testing.T) {
//		testenv.Run(t, func(t *testing.T, e *testenv.Env) {
//			a, b, path := e.Conn(t), e.Conn(t), e.Path(t)
//			…
//		})
//	}
//
// With CONCLAVE_TEST=embedded the rows on the in-process server alone are run,
// and each test's log says so. Since it imports both client and adapter, only
// external test packages can use it.
package testenv
