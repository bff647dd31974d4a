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
)

// realTimeout is within what a server with a tick of 200 ms grants.
const realTimeout = 4 * time.Second

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

// realWorld is what a test on a real server gets.
type realWorld struct {
	*testing.T
	server *zkreal.Server
	zk     *zk.Conn
	link   *link
	conn   *Conn
	s      *session
	dir    string
}

// onReal runs a test on a real server for each way to tell the adapter of
// changes.
func onReal(t *testing.T, test func(w *realWorld)) {
	t.Helper()
	if zkreal.Embedded() {
		return
	}
	t.Parallel()
	for _, name := range []string{"feed", "events", "neither"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &realWorld{T: t, server: zkreal.Shared(t), link: &link{}}
			w.connect(name)
			w.dir = w.root()
			test(w)
		})
	}
}

// connect makes the *zk.Conn and the adapter. Both are closed in the end, the
// adapter first.
func (w *realWorld) connect(way string) {
	var feed Feed
	conn, events, err := zk.Connect([]string{w.server.Addr()}, realTimeout,
		zk.WithLogger(silent{}), zk.WithLogInfo(false), zk.WithDialer(w.link.dial), zk.WithEventCallback(feed.Callback))
	require.NoError(w, err)
	w.Cleanup(conn.Close)
	opts := []Option{WithSessionTimeout(realTimeout)}
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

func (w *realWorld) current() *session {
	ctx, cancel := context.WithTimeout(w.Context(), 10*realTimeout)
	defer cancel()
	s, err := w.conn.Session(ctx)
	require.NoError(w, err)
	own, _ := s.(*session)
	return own
}

// root makes a directory for the test.
func (w *realWorld) root() string {
	create := &keeper.Create{Path: "/gozk-", Mode: keeper.PersistentSequential}
	require.NoError(w, w.s.Do(w.Context(), create))
	return create.Created
}

func TestRealOperations(t *testing.T) {
	onReal(t, func(w *realWorld) {
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

func TestRealExpiry(t *testing.T) {
	onReal(t, func(w *realWorld) {
		lapsed := make(chan error, 1)
		w.s.AfterLapse(func(cause error) { lapsed <- cause })
		mine := &keeper.Create{Path: w.dir + "/mine", Mode: keeper.Ephemeral}
		list := &keeper.Children{Path: w.dir, Watch: true}
		require.NoError(w, w.s.Do(w.Context(), mine, list))
		w.server.Expire(w.T, w.s.ID())
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

func TestRealReconnect(t *testing.T) {
	onReal(t, func(w *realWorld) {
		ctx := w.Context()
		stop := w.s.AfterLapse(func(cause error) { w.Error("must not lapse:", cause) })
		mine := &keeper.Create{Path: w.dir + "/mine", Mode: keeper.Ephemeral}
		require.NoError(w, w.s.Do(ctx, mine))
		for range 3 {
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
func TestRealLapseComesBeforeExpiry(t *testing.T) {
	onReal(t, func(w *realWorld) {
		ctx := w.Context()
		other := &realWorld{T: w.T, server: w.server, link: &link{}}
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

func TestRealOwnerCloses(t *testing.T) {
	onReal(t, func(w *realWorld) {
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
