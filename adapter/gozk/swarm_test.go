package gozk

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
)

// Under accidents of every kind at random, what a create says of itself is true,
// no ephemeral node outlives the session it was meant for, no watch is lost, and
// every session is proved only while it lives.
func TestSwarm(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { swarm(t, seed) })
		})
	}
}

func swarm(t *testing.T, seed uint64) {
	t.Helper()
	const workers, steps = 6, 40
	f := newFake()
	f.latency = time.Millisecond
	c := adapt(t, f)
	f.connect()
	stop := make(chan struct{})
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		made = make(map[string]keeper.Outcome) // by path asked for
	)
	for i := range workers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			for n := range steps {
				s, err := c.Session(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				until := s.ValidUntil()
				path := fmt.Sprintf("/n-%x-%d-%d-", s.ID(), i, n)
				create := &keeper.Create{Path: path, Mode: []keeper.Mode{
					keeper.Ephemeral, keeper.EphemeralSequential, keeper.Persistent, keeper.PersistentSequential,
				}[r.IntN(4)]}
				var req keeper.Request = create
				if r.IntN(3) == 0 {
					req = &keeper.Multi{Ops: []keeper.Op{create}}
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(r.IntN(int(timeout))))
				err = s.Do(ctx, req, &keeper.Exists{Path: path, Watch: r.IntN(2) == 0})
				cancel()
				if err == nil && s.Err() == nil && s.ValidUntil().Before(until) {
					t.Error("validity went back")
				}
				mu.Lock()
				made[path] = keeper.OutcomeOf(create.Err)
				mu.Unlock()
				after(time.Duration(r.IntN(int(timeout / 10))))
			}
		})
	}
	wg.Go(func() { nemesis(f, rand.New(rand.NewPCG(seed, 99)), stop) })
	watching(t, f, c, stop, &wg)
	after(steps * timeout / 5)
	close(stop)
	wg.Wait()
	after(3 * timeout)
	synctest.Wait()
	id := current(t, c).ID()

	f.server(func() {
		log := strings.Join(f.log, "\n") + "\n"
		for path, outcome := range made {
			was := strings.Contains(log, path)
			if outcome != keeper.Unknown {
				require.Equal(t, outcome == keeper.Applied, was, path)
			}
		}
		for path, n := range f.nodes {
			if n.stat.EphemeralOwner == id && strings.HasPrefix(path, "/n-") {
				require.Contains(t, path, fmt.Sprintf("-%x-", id), "made for a session that is over")
			}
		}
	})
}

// nemesis has accidents until it is stopped, and leaves the link up.
func nemesis(f *fakeZK, r *rand.Rand, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			f.server(func() { f.rules = nil })
			f.cut()
			f.connect()
			return
		case <-time.After(time.Duration(r.IntN(int(timeout)))):
		}
		f.server(func() { f.noCatchUp, f.noRearm = r.IntN(4) == 0, r.IntN(4) == 0 })
		switch r.IntN(6) {
		case 0:
			f.cut()
		case 1:
			f.renew()
		case 2:
			f.expire()
		default:
			op := []string{"create", "multi", "exists", "existsW", "delete", "delivered create"}[r.IntN(6)]
			f.addRule(&fakeRule{op: op, times: 1 + r.IntN(2), fault: fault(1 + r.IntN(4))})
			after(timeout / 10)
			if r.IntN(2) == 0 {
				f.renew()
			} else {
				f.cut()
			}
		}
		after(time.Duration(r.IntN(int(timeout / 4))))
		f.connect()
	}
}

// watching has somebody watch a node that changes all the time. Each change must
// reach him, or the end of the session must.
func watching(t *testing.T, f *fakeZK, c *Conn, stop <-chan struct{}, wg *sync.WaitGroup) {
	t.Helper()
	f.server(func() {
		if _, err := f.create("/watched", nil, zk.FlagPersistent, nil); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		for {
			s, err := c.Session(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			get := &keeper.Get{Path: "/watched", Watch: true}
			if s.Do(t.Context(), get) != nil {
				after(time.Millisecond)
				continue
			}
			select {
			case <-stop:
				return
			case <-time.After(timeout / 7):
			}
			f.server(func() {
				if _, err := f.write("/watched", nil, -1); err != nil {
					t.Error(err)
				}
			})
			ctx, cancel := context.WithTimeout(t.Context(), 20*timeout)
			_, err = get.Watched.Wait(ctx)
			cancel()
			if err != nil && !errors.Is(err, keeper.ErrSessionExpired) {
				t.Error("lost:", err)
			}
		}
	})
}
