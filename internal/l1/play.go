package l1

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/client"
	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/retry"
	"github.com/conclave-go/conclave/zkserver"
	"github.com/conclave-go/conclave/zktest"
)

// Play is one performance of a script. Its methods are safe for concurrent use.
type Play struct {
	Victim       keeper.Conn // met by the fault
	Rival, Third keeper.Conn // never met, processes of their own

	t       *testing.T
	s       Script
	point   point
	server  *zktest.Server
	victim  *client.Client
	witness *client.Client // takes part in nothing
	clients []*client.Client
	session int64           // the victim's first; 0 if it was met at its handshake
	ctx     context.Context //nolint:containedctx // what the fault cancels
	watch   func()          // ends the noting of frames
	took    time.Duration   // of the script, in virtual time

	mu      sync.Mutex
	left    bool     // the script has shut the victim down
	hits    []string // kinds of the requests that met the fault
	frames  []string // kinds of requests that the victim sent during the script
	granted []grant  // in the order of grants
	last    Hold     // of the newest grant
	unfenced,
	fenced counter
}

// newPlay starts the server and everybody. It must run in the play's bubble.
func newPlay(t *testing.T, s Script, pt point) *Play {
	t.Helper()
	p := &Play{t: t, s: s, point: pt, server: zktest.Start(t, zktest.PipeOnly(), zktest.Tick(Tick))}
	p.witness = p.client()
	require.NoError(t, p.witness.WaitConnected(t.Context()))
	for _, other := range []*keeper.Conn{&p.Rival, &p.Third} {
		c := p.client()
		require.NoError(t, c.WaitConnected(t.Context()))
		*other = c
	}
	_, err := p.witness.Create(t.Context(), counterPath, nil, keeper.Persistent)
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	p.ctx = ctx
	hit := func(kind string) {
		p.mu.Lock()
		p.hits = append(p.hits, kind)
		p.mu.Unlock()
		if pt.cancels {
			cancel()
		}
	}
	if pt.kind == handshake {
		// The script begins while the victim is still on its way.
		p.server.Inject(pt.rule(0, hit))
		p.victim = p.client()
	} else {
		p.victim = p.client()
		require.NoError(t, p.victim.WaitConnected(t.Context()))
		p.session = p.victim.SessionID()
		p.noteFrames(p.session)
		if pt.kind != "" {
			p.server.Inject(pt.rule(p.session, hit))
		}
	}
	p.Victim = p.victim
	return p
}

// client starts a client. Nothing about it is left to chance.
func (p *Play) client() *client.Client {
	p.t.Helper()
	c, err := client.New(p.server.Addr(), client.WithSessionTimeout(Timeout),
		client.WithDialer(p.server.Dial), client.WithRetryPolicy(p.Retry()))
	require.NoError(p.t, err)
	require.NoError(p.t, c.Start())
	p.t.Cleanup(func() { _ = c.Close() })
	p.clients = append(p.clients, c)
	return c
}

// Retry is a policy without jitter.
func (p *Play) Retry() retry.Policy { return retry.Policy{Jitter: -1, Max: time.Second} }

// Always is a context that no fault cancels.
func (p *Play) Always() context.Context { return p.t.Context() }

// T is the test of this play.
func (p *Play) T() *testing.T { return p.t }

// Pass lets d of virtual time pass. Whatever is due meanwhile happens.
func (p *Play) Pass(d time.Duration) { <-time.After(d) }

// Shutdown shuts the victim down. From then on its holds count as lost, and it
// takes no part in what follows the script.
func (p *Play) Shutdown(ctx context.Context) error {
	p.mu.Lock()
	p.left = true
	p.mu.Unlock()
	return p.victim.Shutdown(ctx)
}

// mayLose tells whether the victim may lose a hold.
func (p *Play) mayLose() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.left || p.point.expires()
}

// Slow holds up one of the requests of a kind to come, the nth from 1, for d.
func (p *Play) Slow(kind string, nth int, d time.Duration) {
	p.server.Inject(zkserver.Rule{Kind: kind, Nth: nth, Fault: zkserver.Delay, Delay: d})
}

// script plays the script, for at most bound.
func (p *Play) script(bound time.Duration) {
	begin, done := time.Now(), make(chan struct{})
	var err error
	go func() {
		defer close(done)
		err = p.s.Run(p.ctx, p)
	}()
	select {
	case <-done:
	case <-time.After(bound):
		assert.Fail(p.t, "the script does not end", "after %v", bound)
		for _, c := range p.clients {
			_ = c.Close()
		}
		<-done
	}
	p.took = time.Since(begin)
	synctest.Wait()
	if p.watch != nil {
		p.watch()
	}
	assert.True(p.t, p.s.allows(err, p.point), "the script may not fail with: %v", err)
}

// report tells, after a failure, how to repeat it and what the server saw.
func (p *Play) report() {
	if !p.t.Failed() {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "script %s, fault %v; to repeat: go test -run '^%s$' -v\n", p.s.Name, p.point, p.t.Name())
	fmt.Fprintf(&b, "victim 0x%x (its first session), frames %v, grants %v\nhistory:\n", p.session, p.frames, p.granted)
	for _, t := range p.server.History() {
		fmt.Fprintf(&b, "%6d 0x%x #%d %s %s", t.Zxid, t.Session, t.Xid, t.Op, t.Path)
		for _, op := range t.Ops {
			fmt.Fprintf(&b, " {%s %s}", op.Op, op.Path)
		}
		if t.Err != keeper.OK {
			fmt.Fprintf(&b, ": %v", t.Err)
		}
		b.WriteByte('\n')
	}
	p.t.Log(b.String())
}
