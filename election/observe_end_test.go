package election_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/zktest"
)

// However an Observe ends, no watch of it stays with the server.
func TestObserveLeavesNoWatch(t *testing.T) {
	for _, led := range []bool{false, true} {
		for how, end := range map[string]func(t *testing.T, cancel func()) (more bool){
			"break":  func(*testing.T, func()) bool { return false },
			"panic":  func(*testing.T, func()) bool { panic("the loop's") },
			"cancel": func(_ *testing.T, cancel func()) bool { cancel(); return true },
			"cancel while it waits": func(_ *testing.T, cancel func()) bool {
				go func() {
					pass(1)
					cancel()
				}()
				return true
			},
		} {
			name := how + " with nobody"
			if led {
				name = how + " with a leader"
			}
			t.Run(name, func(t *testing.T) {
				inBubble(t, func(t *testing.T, srv *zktest.Server) {
					c := dial(t, srv)
					if led {
						mustLead(t, newElection(t, dial(t, srv), "/election"), "a")
					}
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					func() {
						defer func() { _ = recover() }()
						for _, err := range newElection(t, c, "/election").Observe(ctx) {
							if err != nil {
								assert.ErrorIs(t, err, context.Canceled)
								continue
							}
							synctest.Wait()
							assert.Equal(t, 1, watchesAt(srv))
							if !end(t, cancel) {
								break
							}
						}
					}()
					synctest.Wait()
					assert.Zero(t, c.PendingWatches())
					assert.Zero(t, watchesAt(srv), srv.Dump())
				})
			})
		}
	}
}

// The first candidate comes between the look that shows nobody and the watch for
// somebody: that watch is not needed.
func TestObserveLeavesNoWatchOnTheDirectory(t *testing.T) {
	inBubble(t, func(t *testing.T, srv *zktest.Server) {
		other := newElection(t, dial(t, srv), "/election")
		require.NoError(t, mustLead(t, other, "makes the directory").Release(t.Context()))
		c := dial(t, srv)
		first := true
		conn := hooked{c, func(_ keeper.Session, _ []keeper.Request) {
			if first {
				first = false
				mustLead(t, other, "a")
			}
		}}
		for l, err := range newElection(t, conn, "/election").Observe(t.Context()) {
			require.NoError(t, err)
			assert.Equal(t, "a", string(l.Value))
			synctest.Wait()
			assert.Equal(t, 1, c.PendingWatches(), "that on the leader")
			assert.Equal(t, 1, watchesAt(srv), srv.Dump())
			break
		}
	})
}

// A new session may begin on a server that lags: its first list stands behind a
// sync, the others do not.
func TestObserveSyncsOncePerSession(t *testing.T) {
	inBubble(t, func(t *testing.T, srv *zktest.Server) {
		c := dial(t, srv)
		var sent []string
		conn := hooked{c, func(_ keeper.Session, reqs []keeper.Request) { sent = append(sent, names(reqs)) }}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		states := observed(newElection(t, conn, "/election").Observe(ctx))
		require.True(t, recv(t, states, "nobody").Nobody())
		leader := mustLead(t, newElection(t, dial(t, srv), "/election"), "a")
		require.Equal(t, leader.Token(), recv(t, states, "the leader").Token)
		synctest.Wait()
		require.Equal(t, "sync children", sent[0])
		require.NotContains(t, sent[1:], "sync children")

		sent = nil
		srv.Expire(c.SessionID())
		pass(timeout)
		require.NoError(t, leader.Proclaim(ctx, []byte("b")))
		require.Equal(t, "b", string(recv(t, states, "the new value").Value))
		require.Equal(t, "sync children", sent[0])
		cancel()
		for range states {
		}
	})
}
