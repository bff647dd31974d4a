package client

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// raw is a frame with a length of choice.
func raw(length int32, body ...byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(length)), body...)
}

// Whatever a server answers to the handshake: the client goes on to the next one.
func TestGarbageHandshakes(t *testing.T) {
	good := frame(&proto.ConnectResponse{SessionID: sid, TimeOut: 10_000, Passwd: make([]byte, 16), HasReadOnly: true})
	mutate := func(at int, b ...byte) []byte {
		g := append([]byte(nil), good...)
		copy(g[at:], b)
		return g
	}
	cases := map[string][]byte{
		"nothing":            {},
		"an HTTP server":     []byte("HTTP/1.1 400 Bad Request\r\n\r\n"),
		"length 0":           raw(0),
		"length 1":           raw(1, 0),
		"length 3":           raw(3, 0, 0, 0),
		"length 15":          raw(15, make([]byte, 15)...),
		"a reply header":     frame(&proto.ReplyHeader{Err: keeper.ErrAuthFailed}),
		"length 19":          raw(19, make([]byte, 19)...),
		"length -1":          raw(-1),
		"length -2^31":       raw(math.MinInt32),
		"length 2^31-1":      raw(math.MaxInt32, 1, 2, 3),
		"too long":           raw(maxHello+1, make([]byte, maxHello+1)...),
		"long password":      frame(&proto.ConnectResponse{SessionID: sid, TimeOut: 10_000, Passwd: make([]byte, 1<<20)}),
		"password length":    mutate(20, 0x7f, 0xff, 0xff, 0xff),
		"negative length":    mutate(20, 0xff, 0xff, 0xff, 0xfe),
		"timeout 0":          frame(&proto.ConnectResponse{SessionID: sid, Passwd: make([]byte, 16)}),
		"timeout negative":   frame(&proto.ConnectResponse{SessionID: sid, TimeOut: -1, Passwd: make([]byte, 16)}),
		"timeout of -2^31":   frame(&proto.ConnectResponse{SessionID: sid, TimeOut: math.MinInt32, Passwd: make([]byte, 16)}),
		"session 0":          frame(&proto.ConnectResponse{TimeOut: 10_000, Passwd: make([]byte, 16)}),
		"read-only":          frame(&proto.ConnectResponse{SessionID: sid, TimeOut: 10_000, Passwd: make([]byte, 16), ReadOnly: true, HasReadOnly: true}),
		"truncated and gone": good[:20],
	}
	for name, answer := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := newPeer(t)
				c := p.client()
				l := p.accept()
				l.hello()
				_, _ = l.nc.Write(answer)
				synctest.Wait()
				l.close()
				p.serve(sid, full)
				require.NoError(t, c.WaitConnected(t.Context()))
			})
		})
	}
	for name, answer := range map[string][]byte{
		"null password":  frame(&proto.ConnectResponse{SessionID: sid, TimeOut: 10_000}),
		"trailing bytes": frame(&proto.ConnectResponse{SessionID: sid, TimeOut: 10_000, HasReadOnly: true}, &padding{}),
		"negative id":    frame(&proto.ConnectResponse{SessionID: -5, TimeOut: 10_000, Passwd: make([]byte, 16)}),
		"long timeout":   frame(&proto.ConnectResponse{SessionID: sid, TimeOut: math.MaxInt32, Passwd: make([]byte, 16)}),
		"version 99":     frame(&proto.ConnectResponse{ProtocolVersion: 99, SessionID: sid, TimeOut: 10_000}),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := newPeer(t)
				c := p.client()
				l := p.accept()
				l.hello()
				l.write(answer)
				require.NoError(t, c.WaitConnected(t.Context()))
			})
		})
	}
}

// Frames that cost the connection: what was in flight is unknown, or known if
// the frame said so, and the session goes on with the next connection.
func TestGarbageReplies(t *testing.T) {
	reply := func(xid int32, code keeper.Code, body ...byte) []byte {
		b := frame(&proto.ReplyHeader{Xid: xid, Zxid: 5, Err: code})
		b = append(b, body...)
		binary.BigEndian.PutUint32(b, uint32(len(b)-4))
		return b
	}
	stat := make([]byte, 68)
	for name, c := range map[string]struct {
		answer  []byte
		err     error
		outcome keeper.Outcome
	}{
		"length 0":               {raw(0), keeper.ErrConnectionLoss, keeper.Unknown},
		"length 1":               {raw(1, 9), keeper.ErrConnectionLoss, keeper.Unknown},
		"length 15":              {raw(15, make([]byte, 15)...), keeper.ErrConnectionLoss, keeper.Unknown},
		"length -1":              {raw(-1), keeper.ErrConnectionLoss, keeper.Unknown},
		"length -2^31":           {raw(math.MinInt32), keeper.ErrConnectionLoss, keeper.Unknown},
		"xid 0":                  {reply(0, 0), keeper.ErrConnectionLoss, keeper.Unknown},
		"xid -3":                 {reply(-3, 0), keeper.ErrConnectionLoss, keeper.Unknown},
		"xid -2^31":              {reply(math.MinInt32, 0), keeper.ErrConnectionLoss, keeper.Unknown},
		"xid too high":           {reply(2, 0), keeper.ErrConnectionLoss, keeper.Unknown},
		"xid 2^31-1":             {reply(math.MaxInt32, 0), keeper.ErrConnectionLoss, keeper.Unknown},
		"xid refused, not ours":  {reply(9, keeper.ErrNoAuth), keeper.ErrConnectionLoss, keeper.Unknown},
		"auth nobody asked for":  {reply(-4, 0), keeper.ErrConnectionLoss, keeper.Unknown},
		"watches nobody set":     {reply(-8, 0), keeper.ErrConnectionLoss, keeper.Unknown},
		"event without a body":   {reply(-1, 0), keeper.ErrConnectionLoss, keeper.Unknown},
		"event cut short":        {reply(-1, 0, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 9, '/'), keeper.ErrConnectionLoss, keeper.Unknown},
		"event not UTF-8":        {reply(-1, 0, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 2, '/', 0xff), keeper.ErrConnectionLoss, keeper.Unknown},
		"garbage":                {[]byte("\x00\x00\x00\x20 is this a reply? no it is not, is it?"), keeper.ErrConnectionLoss, keeper.Unknown},
		"success without body":   {reply(1, 0), keeper.ErrUndecodable, keeper.Applied},
		"success, half a body":   {reply(1, 0, 0, 0, 0, 1, 'x', 0, 0), keeper.ErrUndecodable, keeper.Applied},
		"data length past end":   {reply(1, 0, append([]byte{0x7f, 0xff, 0xff, 0xff}, stat...)...), keeper.ErrUndecodable, keeper.Applied},
		"data length negative":   {reply(1, 0, append([]byte{0xff, 0xff, 0xff, 0xfe}, stat...)...), keeper.ErrUndecodable, keeper.Applied},
		"oversized notification": {reply(-1, 0, make([]byte, 5<<20)...), keeper.ErrConnectionLoss, keeper.Unknown},
		"oversized, wrong xid":   {reply(7, 0, make([]byte, 5<<20)...), keeper.ErrConnectionLoss, keeper.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p, cl, l, s := connect(t)
				get := &keeper.Get{Path: "/a"}
				done := run(func() error { return s.Do(t.Context(), get) })
				l.want("get", proto.OpGetData)
				go func() { _, _ = l.nc.Write(c.answer) }()
				l.wantEnd("garbage")
				wantOutcome(t, <-done, c.err, c.outcome)
				require.Nil(t, get.Data)
				require.EqualValues(t, 1, get.Xid)
				p.serve(sid, full)
				require.NoError(t, cl.WaitConnected(t.Context()))
				require.NoError(t, s.Err())
			})
		})
	}
}

// Odd things that a connection survives.
func TestOddReplies(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, _, l, s := connect(t)
		xid := int32(0)
		do := func(r keeper.Request, code keeper.Code, body ...proto.Record) error {
			t.Helper()
			done := run(func() error { return s.Do(t.Context(), r) })
			l.next("a request")
			xid++
			l.write(frame(append([]proto.Record{&proto.ReplyHeader{Xid: xid, Zxid: 7, Err: code}}, body...)...))
			return <-done
		}
		get := &keeper.Get{Path: "/a"}
		require.NoError(t, do(get, keeper.OK, &proto.GetDataResponse{Data: []byte("x")}, &padding{}), "trailing bytes")
		wantOutcome(t, do(get, -9999), keeper.Code(-9999), keeper.NotApplied)
		wantOutcome(t, do(get, 17), keeper.Code(17), keeper.NotApplied)
		wantOutcome(t, do(get, keeper.ErrConnectionLoss), keeper.ErrConnectionLoss, keeper.NotApplied) // it is the server's word
		wantOutcome(t, do(get, keeper.ErrNoNode, &proto.GetDataResponse{Data: []byte("x")}), keeper.ErrNoNode, keeper.NotApplied)
		require.Nil(t, get.Data, "an error has no results")
		wantOutcome(t, do(get, keeper.ErrThrottled), keeper.ErrThrottled, keeper.NotApplied)

		l.write(frame(&proto.ReplyHeader{Xid: proto.XidPing, Zxid: -77}))              // nobody asked
		l.write(frame(&proto.ReplyHeader{Xid: proto.XidPing}, &padding{}))             // with a body
		l.event(99, "/a")                                                              // unknown type
		l.event(keeper.EventDataChanged, "")                                           // no path
		l.event(keeper.EventDataChanged, "not a path")                                 //
		l.event(keeper.EventDataChanged, strings.Repeat("/x", 1000))                   // unregistered
		l.write(raw(28, frame(&proto.ReplyHeader{Xid: -1}, &nullEvent{})[4:]...))      // null path
		l.write(frame(&proto.ReplyHeader{Xid: -1, Zxid: math.MinInt64}, &nullEvent{})) // odd zxid
		require.NoError(t, do(get, keeper.OK, &proto.GetDataResponse{}))
		require.EqualValues(t, 1, p.dials.Load())
	})
}

// nullEvent is a WatcherEvent whose path is null.
type nullEvent struct{}

func (*nullEvent) AppendTo(b []byte) []byte {
	return append(b, 0, 0, 0, 1, 0, 0, 0, 3, 0xff, 0xff, 0xff, 0xff)
}
func (*nullEvent) ReadFrom([]byte) error { return nil }

// Bodies that lie, for every kind of request.
func TestGarbageBodies(t *testing.T) {
	vector := func(n int32) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
	for _, body := range [][]byte{
		nil, {0}, {0, 0, 0}, vector(math.MaxInt32), vector(-2), vector(math.MinInt32), vector(-1), vector(1),
		make([]byte, 67), make([]byte, 71), []byte(strings.Repeat("\xff", 80)), []byte(strings.Repeat("\x7f", 80)),
		append(vector(1), append(vector(3), "a/b"...)...),
		append(vector(5), "/b\xff\xfe1"...),
	} {
		for _, ask := range []func() keeper.Request{
			func() keeper.Request { return &keeper.Create{Path: "/a"} },
			func() keeper.Request { return &keeper.Get{Path: "/a", Watch: true} },
			func() keeper.Request { return &keeper.Set{Path: "/a"} },
			func() keeper.Request { return &keeper.Exists{Path: "/a", Watch: true} },
			func() keeper.Request { return &keeper.Children{Path: "/a", Watch: true} },
			func() keeper.Request { return &keeper.GetACL{Path: "/a"} },
			func() keeper.Request { return &keeper.SetACL{Path: "/a"} },
			func() keeper.Request { return &keeper.Sync{Path: "/a"} },
			func() keeper.Request {
				return &keeper.Multi{Ops: []keeper.Op{&keeper.Create{Path: "/a"}, &keeper.Check{Path: "/b"}, &keeper.Set{Path: "/c"}}}
			},
		} {
			r := ask()
			t.Run(fmt.Sprintf("%s %x", r.Name(), body[:min(len(body), 8)]), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					_, c, l, s := connect(t)
					done := run(func() error { return s.Do(t.Context(), r) })
					l.next("a request")
					b := append(frame(&proto.ReplyHeader{Xid: 1}), body...)
					binary.BigEndian.PutUint32(b, uint32(len(b)-4))
					l.write(b)
					err := <-done
					if err == nil {
						return // some bodies are good for some requests
					}
					require.ErrorIs(t, err, keeper.ErrUndecodable)
					require.NotEqual(t, keeper.NotApplied, keeper.OutcomeOf(err))
					require.Zero(t, c.PendingWatches())
					l.wantEnd("the stream cannot be trusted")
				})
			})
		}
	}
}

// A reply over the limit fails its request, and the connection goes on.
func TestOversizedReply(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c, l, s := connect(t, WithMaxFrame(0, 4096))
		big := make([]byte, 1<<20)
		do := func(xid int32, r keeper.Request, code keeper.Code) error {
			t.Helper()
			done := run(func() error { return s.Do(t.Context(), r) })
			l.next("request")
			b := frame(&proto.ReplyHeader{Xid: xid, Zxid: int64(xid), Err: code}, &proto.GetDataResponse{Data: big})
			l.write(b)
			return <-done
		}
		list := &keeper.Children{Path: "/a", Watch: true}
		err := do(1, list, keeper.OK)
		wantOutcome(t, err, keeper.ErrTooLarge, keeper.Applied)
		require.ErrorContains(t, err, "4096")
		require.EqualValues(t, 1, list.Xid)
		require.EqualValues(t, 1, list.Zxid)
		require.Nil(t, list.Watched)
		require.Zero(t, c.PendingWatches())
		wantOutcome(t, do(2, list, keeper.ErrNoNode), keeper.ErrNoNode, keeper.NotApplied)
		multi := &keeper.Multi{Ops: []keeper.Op{&keeper.Create{Path: "/a"}}}
		wantOutcome(t, do(3, multi, keeper.OK), keeper.ErrTooLarge, keeper.Unknown) // a failed one says 0, too
		wantOutcome(t, multi.Ops[0].Meta().Err, keeper.ErrTooLarge, keeper.Unknown)
		big = big[:100]
		require.NoError(t, do(4, &keeper.Get{Path: "/a"}, keeper.OK))
		require.EqualValues(t, 1, p.dials.Load())
	})
}

// A server that stops in the middle of a reply is left after two thirds of the
// timeout without a byte.
func TestStallInsideReply(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, _, l, s := connect(t)
		l.pongs.Store(false)
		answer := frame(&proto.ReplyHeader{Xid: 1}, &proto.GetDataResponse{Data: []byte("hello")})
		for k := 1; k < len(answer); k += 7 {
			done := run(func() error { return s.Do(t.Context(), &keeper.Get{Path: "/a"}) })
			h, _ := l.want("get", proto.OpGetData)
			binary.BigEndian.PutUint32(answer[4:], uint32(h.Xid))
			l.write(answer[:k])
			start := time.Now()
			wantOutcome(t, <-done, keeper.ErrConnectionLoss, keeper.Unknown)
			require.Equal(t, full*2/3, time.Since(start))
			l = p.serve(sid, full)
			l.pongs.Store(false)
		}
	})
}

// A server that does not read: the write gives up, too.
func TestServerThatDoesNotRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPeer(t)
		c := p.client()
		l := p.serve(sid, full)
		s, err := c.Session(t.Context())
		require.NoError(t, err)
		for range cap(l.frames) { // the peer's buffer is full: now it stops reading
			l.frames <- nil
		}
		go func() { // it is not silent, though
			for {
				pass(time.Second)
				if _, err := l.nc.Write(frame(&proto.ReplyHeader{Xid: proto.XidPing})); err != nil {
					return
				}
			}
		}()
		start := time.Now()
		done := run(func() error { return s.Do(t.Context(), &keeper.Set{Path: "/a", Data: make([]byte, 100_000)}) })
		wantOutcome(t, <-done, keeper.ErrConnectionLoss, keeper.Unknown)
		require.LessOrEqual(t, time.Since(start), full)
		l.close()
		for len(l.frames) > 0 {
			<-l.frames
		}
		pass(time.Second)
	})
}

// padding is bytes that no record asks for.
type padding struct{}

func (*padding) AppendTo(b []byte) []byte { return append(b, make([]byte, 100)...) }
func (*padding) ReadFrom([]byte) error    { return nil }
