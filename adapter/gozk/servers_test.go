package gozk

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/zkreal"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/zkserver"
	"github.com/conclave-go/conclave/zktest"
)

// serverTimeout is within what a real server with a tick of 200 ms grants.
const serverTimeout = 4 * time.Second

// silent is a zk.Logger.
type silent struct{}

func (silent) Printf(string, ...any) {}

// link is a *zk.Conn's connection that a test can cut.
type link struct {
	mu   sync.Mutex
	conn net.Conn
	dead bool
}

func (l *link) dial(network, addr string, d time.Duration) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		return nil, errors.New("no route")
	}
	conn, err := net.DialTimeout(network, addr, d)
	l.conn = conn
	return conn, err
}

// cut closes the connection, and keeps new ones from being made if dead.
func (l *link) cut(t *testing.T, dead bool) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = dead
	if l.conn != nil {
		require.NoError(t, l.conn.Close())
	}
}

func (l *link) heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = false
}

// serverWorld is what a test on a server gets.
type serverWorld struct {
	*testing.T
	addr   string
	expire func(session int64)
	zk     *zk.Conn
	link   *link
	conn   *Conn
	s      *session
	dir    string
}

// onServers runs a test with go-zookeeper itself, on the in-process server and
// on a real one, for each way to tell the adapter of changes.
func onServers(t *testing.T, test func(w *serverWorld)) {
	t.Helper()
	t.Parallel()
	run := func(name string, start func(w *serverWorld), ways ...string) {
		for _, way := range ways {
			t.Run(name+"/"+way, func(t *testing.T) {
				t.Parallel()
				w := &serverWorld{T: t, link: &link{}}
				start(w)
				w.connect(way)
				w.dir = w.root()
				test(w)
			})
		}
	}
	run("zkserver", func(w *serverWorld) {
		server := zktest.Start(w)
		w.addr = server.Addr()
		w.expire = func(session int64) { require.True(w, server.Expire(session)) }
	}, "feed", "events", "neither")
	if zkreal.Embedded() {
		return
	}
	run("real", func(w *serverWorld) {
		server := zkreal.Shared(w)
		w.addr = server.Addr()
		w.expire = func(session int64) { server.Expire(w, session) }
	}, "feed", "neither")
}

// connect makes the *zk.Conn and the adapter. Both are closed in the end, the
// adapter first.
func (w *serverWorld) connect(way string) {
	var feed Feed
	conn, events, err := zk.Connect([]string{w.addr}, serverTimeout,
		zk.WithLogger(silent{}), zk.WithLogInfo(false), zk.WithDialer(w.link.dial), zk.WithEventCallback(feed.Callback))
	require.NoError(w, err)
	w.Cleanup(conn.Close)
	opts := []Option{WithSessionTimeout(serverTimeout)}
	if way == "feed" {
		opts = append(opts, WithFeed(&feed))
	}
	if way != "events" {
		events = nil
	}
	w.zk = conn
	w.conn, err = New(conn, events, opts...)
	require.NoError(w, err)
	w.Cleanup(func() { require.NoError(w, w.conn.Close()) })
	w.s = w.current()
}

func (w *serverWorld) current() *session {
	ctx, cancel := context.WithTimeout(w.Context(), 10*serverTimeout)
	defer cancel()
	s, err := w.conn.Session(ctx)
	require.NoError(w, err)
	own, _ := s.(*session)
	return own
}

// root makes a directory for the test.
func (w *serverWorld) root() string {
	create := &keeper.Create{Path: "/gozk-", Mode: keeper.PersistentSequential}
	require.NoError(w, w.s.Do(w.Context(), create))
	return create.Created
}

func TestServerOperations(t *testing.T) {
	onServers(t, func(w *serverWorld) {
		ctx, s := w.Context(), w.s
		require.Equal(w, w.zk.SessionID(), s.ID())
		me := &keeper.Create{Path: w.dir + "/lock-", Data: []byte("x"), Mode: keeper.EphemeralSequential}
		peers := &keeper.Children{Path: w.dir, Watch: true}
		get := &keeper.Get{Path: w.dir}
		require.NoError(w, s.Do(ctx, me, peers, get))
		require.Equal(w, w.dir+"/lock-0000000000", me.Created)
		require.Equal(w, s.ID(), me.Stat.EphemeralOwner)
		require.NotZero(w, me.Stat.Czxid)
		require.Equal(w, []string{"lock-0000000000"}, peers.Names)
		require.Nil(w, get.Data, "null stays null")

		container := &keeper.Create{Path: w.dir + "/c", Mode: keeper.Container}
		ttl := &keeper.Create{Path: w.dir + "/t", Mode: keeper.PersistentTTL, TTL: time.Hour}
		none := &keeper.Exists{Path: w.dir + "/none", Watch: true}
		require.NoError(w, s.Do(ctx, container, ttl, none, &keeper.Sync{Path: w.dir}))
		require.False(w, none.Found)
		ev, err := peers.Watched.Wait(ctx)
		require.NoError(w, err)
		require.Equal(w, keeper.EventChildrenChanged, ev.Type)

		guard := &keeper.Check{Path: me.Created, Version: keeper.AnyVersion}
		made := &keeper.Create{Path: w.dir + "/none", Data: []byte{}}
		set := &keeper.Set{Path: w.dir, Data: []byte("y"), Version: 0}
		require.NoError(w, s.Do(ctx, &keeper.Multi{Ops: []keeper.Op{guard, made, set}}))
		require.Equal(w, w.dir+"/none", made.Created)
		require.EqualValues(w, 1, set.Stat.Version)
		ev, err = none.Watched.Wait(ctx)
		require.NoError(w, err)
		require.Equal(w, keeper.EventCreated, ev.Type)

		again := &keeper.Delete{Path: w.dir + "/c", Version: keeper.AnyVersion}
		bad := &keeper.Multi{Ops: []keeper.Op{again, &keeper.Set{Path: w.dir, Version: 7}, guard}}
		require.ErrorIs(w, s.Do(ctx, bad), keeper.ErrBadVersion)
		require.ErrorIs(w, again.Err, keeper.ErrRuntimeInconsistency)
		require.ErrorIs(w, guard.Err, keeper.ErrRuntimeInconsistency)
		require.NoError(w, s.Do(ctx, &keeper.Multi{}))

		setACL := &keeper.SetACL{Path: w.dir + "/c", ACL: keeper.ReadACL(), Version: 0}
		getACL := &keeper.GetACL{Path: w.dir + "/c"}
		require.NoError(w, s.Do(ctx, setACL, getACL))
		require.Equal(w, keeper.ReadACL(), getACL.ACL)
		denied := &keeper.Set{Path: w.dir + "/c", Version: keeper.AnyVersion}
		orphan := &keeper.Create{Path: w.dir + "/x/y"}
		list := &keeper.Children{Path: w.dir}
		require.ErrorIs(w, s.Do(ctx, denied, orphan, list), keeper.ErrNoAuth)
		require.Equal(w, keeper.NotApplied, outcome(w.T, orphan, keeper.ErrNoNode))
		require.Len(w, list.Names, 4)
	})
}

func TestServerExpiry(t *testing.T) {
	onServers(t, func(w *serverWorld) {
		lapsed := make(chan error, 1)
		w.s.AfterLapse(func(cause error) { lapsed <- cause })
		mine := &keeper.Create{Path: w.dir + "/mine", Mode: keeper.Ephemeral}
		list := &keeper.Children{Path: w.dir, Watch: true}
		require.NoError(w, w.s.Do(w.Context(), mine, list))
		w.expire(w.s.ID())
		<-w.s.Done()
		require.ErrorIs(w, w.s.Err(), keeper.ErrSessionExpired)
		require.ErrorIs(w, <-lapsed, keeper.ErrSessionExpired)
		<-list.Watched.C() // the node's end or the session's, whichever was first
		n := w.current()
		require.NotEqual(w, w.s.ID(), n.ID())
		require.True(w, n.ValidUntil().After(time.Now()))
		exists := &keeper.Exists{Path: mine.Created}
		require.NoError(w, n.Do(w.Context(), exists))
		require.False(w, exists.Found)
	})
}

func TestServerReconnect(t *testing.T) {
	onServers(t, func(w *serverWorld) {
		ctx := w.Context()
		stop := w.s.AfterLapse(func(cause error) { w.Error("must not lapse:", cause) })
		mine := &keeper.Create{Path: w.dir + "/mine", Mode: keeper.Ephemeral}
		require.NoError(w, w.s.Do(ctx, mine))
		for range 2 {
			watch := &keeper.Exists{Path: mine.Created, Watch: true}
			require.NoError(w, w.s.Do(ctx, watch))
			w.link.cut(w.T, false)
			set := &keeper.Set{Path: mine.Created, Version: watch.Stat.Version}
			for w.s.Do(ctx, set) != nil && keeper.OutcomeOf(set.Err) == keeper.NotApplied {
				require.ErrorIs(w, set.Err, keeper.ErrConnectionLoss, "no server for the moment")
			}
			now := &keeper.Exists{Path: mine.Created}
			for w.s.Do(ctx, now) != nil {
				require.ErrorIs(w, now.Err, keeper.ErrConnectionLoss)
			}
			if now.Stat.Version == watch.Stat.Version {
				require.Error(w, set.Err)
				watch.Watched.Close()
				continue
			}
			ev, err := watch.Watched.Wait(ctx)
			require.NoError(w, err)
			require.Equal(w, keeper.EventDataChanged, ev.Type)
		}
		require.True(w, stop())
		require.Same(w, w.s, w.current())
		require.NoError(w, w.s.Err())
	})
}

// A session that cannot reach the server lapses before the server expires it.
func TestServerLapseComesBeforeExpiry(t *testing.T) {
	onServers(t, func(w *serverWorld) {
		ctx := w.Context()
		other := &serverWorld{T: w.T, addr: w.addr, link: &link{}}
		other.connect("feed")
		mine := &keeper.Create{Path: w.dir + "/mine", Mode: keeper.Ephemeral}
		require.NoError(w, w.s.Do(ctx, mine))
		watch := &keeper.Exists{Path: mine.Created, Watch: true}
		require.NoError(w, other.s.Do(ctx, watch))
		lapsed := make(chan time.Time, 1)
		w.s.AfterLapse(func(error) { lapsed <- time.Now() })
		w.link.cut(w.T, true)
		_, err := watch.Watched.Wait(ctx)
		gone := time.Now()
		require.NoError(w, err)
		require.True(w, (<-lapsed).Before(gone), "nobody can have it while its owner believes to")
		w.link.heal()
		<-w.s.Done()
		require.ErrorIs(w, w.s.Err(), keeper.ErrSessionExpired)
	})
}

func TestServerOwnerCloses(t *testing.T) {
	onServers(t, func(w *serverWorld) {
		watch := &keeper.Children{Path: w.dir, Watch: true}
		require.NoError(w, w.s.Do(w.Context(), watch))
		w.zk.Close()
		<-w.s.Done()
		require.ErrorIs(w, w.s.Err(), keeper.ErrClosed)
		_, err := watch.Watched.Wait(w.Context())
		require.ErrorIs(w, err, keeper.ErrClosed)
		_, err = w.conn.Session(w.Context())
		require.ErrorIs(w, err, keeper.ErrClosed)
	})
}

// The outcome is right whichever side of the change the connection broke on.
func TestServerLosesTheReply(t *testing.T) {
	for name, fault := range map[string]zkserver.Fault{"before": zkserver.CutBefore, "after": zkserver.CutAfter} {
		t.Run(name, func(t *testing.T) {
			server := zktest.Start(t)
			w := &serverWorld{T: t, addr: server.Addr(), link: &link{}}
			w.connect("feed")
			server.Inject(zkserver.Rule{Kind: "create", Path: "/a", Fault: fault})
			create := &keeper.Create{Path: "/a", Mode: keeper.Ephemeral}
			list := &keeper.Children{Path: "/"}
			require.Error(t, w.s.Do(t.Context(), create, list))
			require.Equal(t, keeper.Unknown, outcome(t, create, keeper.ErrConnectionLoss))
			require.Equal(t, keeper.NotApplied, outcome(t, list, keeper.ErrNotSent))
			exists := &keeper.Exists{Path: "/a"}
			require.NoError(t, w.s.Do(t.Context(), exists))
			require.Equal(t, name == "after", exists.Found)

			server.Inject(zkserver.Rule{Kind: "exists", Path: "/b", Fault: fault})
			second := &keeper.Create{Path: "/b"}
			require.NoError(t, w.s.Do(t.Context(), second), "its Stat is read again")
			require.NotZero(t, second.Stat.Czxid)
		})
	}
}
