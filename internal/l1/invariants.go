package l1

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/zkserver"
)

// grant is one hold that somebody was given.
type grant struct {
	token int64
	node  string
}

// counter is something that is read, changed and written by holders.
type counter struct {
	value   int
	acked   int // changes that must be in the value
	unknown int // changes that may be
}

// counterPath is the fenced counter's node.
const counterPath = "/l1-counter"

// Granted checks a hold that was just given. Every hold of a script goes
// through it.
func (p *Play) Granted(h Hold) {
	p.mu.Lock()
	before := p.last
	p.last, p.granted = h, append(p.granted, grant{h.Token(), h.Node()})
	p.mu.Unlock()
	if before == nil {
		return
	}
	assert.Greater(p.t, h.Token(), before.Token(), "tokens grow")
	if p.point.expires() && before.Valid() {
		p.Pass(Grace)
	}
	assert.False(p.t, before.Valid(), "two are valid at once: %s and %s", before.Node(), h.Node())
	assert.Error(p.t, before.Context().Err(), "%s goes on after %s was granted", before.Node(), h.Node())
}

// Work changes the unfenced counter under h: reads, takes d, and writes if h is
// valid then.
func (p *Play) Work(h Hold, d time.Duration) {
	p.mu.Lock()
	read := p.unfenced.value
	p.mu.Unlock()
	p.Pass(d)
	valid := h.Valid()
	assert.Equal(p.t, valid, h.Context().Err() == nil, "Valid and Context agree")
	if !p.mayLose() {
		assert.True(p.t, valid, "a hold is lost without its session: %v", context.Cause(h.Context()))
	}
	if !valid {
		return
	}
	p.mu.Lock()
	p.unfenced.value = read + 1
	p.mu.Unlock()
	if p.point.expires() {
		p.Pass(Grace)
		valid = h.Valid()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if valid {
		p.unfenced.acked++
	} else {
		p.unfenced.unknown++
	}
}

// Commit changes the fenced counter under h, on conn: reads it, and writes it
// with h's Commit. It returns what either failed with.
func (p *Play) Commit(ctx context.Context, conn keeper.Conn, h Hold) error {
	s, err := conn.Session(ctx)
	if err != nil {
		return err
	}
	get := &keeper.Get{Path: counterPath}
	if err := s.Do(ctx, get); err != nil {
		return err
	}
	read, _ := strconv.Atoi(string(get.Data))
	err = h.Commit(ctx, &keeper.Set{Path: counterPath, Data: []byte(strconv.Itoa(read + 1)), Version: keeper.AnyVersion})
	p.mu.Lock()
	defer p.mu.Unlock()
	switch keeper.OutcomeOf(err) {
	case keeper.Applied:
		p.fenced.acked++
	case keeper.Unknown:
		p.fenced.unknown++
	}
	return err
}

// Release releases h and checks what that must do in any case.
func (p *Play) Release(ctx context.Context, h Hold) {
	lost := !h.Valid()
	err := h.Release(ctx)
	if lost || err != nil {
		assert.ErrorIs(p.t, err, keeper.ErrHoldLost, "release of a hold; lost before: %v", lost)
		assert.True(p.t, p.mayLose(), "a hold is lost without its session: %v", err)
	}
	assert.False(p.t, h.Valid(), "valid after its release")
	assert.Error(p.t, h.Context().Err(), "its context goes on after its release")
	assert.Equal(p.t, err, h.Release(p.Always()), "each release gives the same answer")
	assert.ErrorIs(p.t, h.Commit(p.Always()), keeper.ErrNotHeld)
}

// aftermath checks what the script leaves behind while everybody is alive.
func (p *Play) aftermath() {
	if p.t.Failed() {
		return
	}
	p.takeWithin(p.witness, Timeout+Tick, "a stranger")
	p.Pass(Timeout)
	assert.Empty(p.t, p.children(), "left in %s by clients that live", p.s.Dir)
	if !p.left {
		p.takeWithin(p.victim, Timeout+Tick, "the victim, again")
	}
	if p.point.kind != "" && p.point.kind != farewell {
		p.met()
	}
}

// met checks that the fault has happened, once and where it should.
func (p *Play) met() {
	p.mu.Lock()
	defer p.mu.Unlock()
	assert.Equal(p.t, []string{p.point.kind}, p.hits, "requests that met the fault")
}

// takeWithin takes the lock and releases it.
func (p *Play) takeWithin(conn keeper.Conn, d time.Duration, who string) {
	ctx, cancel := context.WithTimeout(p.t.Context(), d)
	defer cancel()
	h, err := p.s.Take(ctx, conn)
	if !assert.NoError(p.t, err, "%s cannot have it within %v", who, d) {
		return
	}
	p.Granted(h)
	assert.NoError(p.t, h.Release(ctx), who)
}

func (p *Play) children() []string {
	names, _, err := p.witness.Children(p.t.Context(), p.s.Dir)
	if !errors.Is(err, keeper.ErrNoNode) {
		assert.NoError(p.t, err)
	}
	return names
}

// shutdown closes everybody. A session whose farewell was lost ends by its
// timeout.
func (p *Play) shutdown() {
	ctx, cancel := context.WithTimeout(p.t.Context(), Timeout)
	defer cancel()
	for _, c := range p.clients {
		if c != p.witness && !(c == p.victim && p.left) {
			begin := time.Now()
			err := c.Shutdown(ctx)
			assert.True(p.t, err == nil || c == p.victim && p.point.kind == farewell, "shutdown: %v", err)
			assert.LessOrEqual(p.t, time.Since(begin), Timeout, "a shutdown takes too long")
		}
	}
	if p.point.kind == farewell {
		p.met()
	}
	p.Pass(Timeout + 2*Tick)
	if !p.t.Failed() {
		assert.Empty(p.t, p.children(), "left in %s after everybody was closed", p.s.Dir)
		value, _, err := p.witness.Get(p.t.Context(), counterPath)
		assert.NoError(p.t, err)
		p.fenced.value, _ = strconv.Atoi(string(value))
	}
	assert.NoError(p.t, p.witness.Shutdown(ctx))
	assert.Empty(p.t, p.server.Sessions(), "sessions outlive their clients")
}

// noteFrames notes what the session asks for until the script ends.
func (p *Play) noteFrames(session int64) {
	p.watch = p.server.Inject(zkserver.Rule{Session: session, Times: -1, Notify: func(kind string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.frames = append(p.frames, kind)
	}})
}
