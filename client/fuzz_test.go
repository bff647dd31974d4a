package client

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// Whatever bytes a server sends, before or after the handshake: no panic, no
// goroutine left (the bubble sees to that), no hang, no memory that the bytes
// did not pay for.
func FuzzClientAgainstServerBytes(f *testing.F) {
	welcome := frame(&proto.ConnectResponse{SessionID: sid, TimeOut: 10_000, Passwd: make([]byte, 16), HasReadOnly: true})
	join := func(parts ...[]byte) (all []byte) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	reply := func(xid int32, body proto.Record) []byte { return frame(&proto.ReplyHeader{Xid: xid, Zxid: 1}, body) }
	event := reply(-1, &proto.WatcherEvent{Type: 3, State: 3, Path: "/a"})
	stat := keeper.Stat{DataLength: 1}
	f.Add(false, welcome)
	f.Add(false, frame(&proto.ReplyHeader{Err: keeper.ErrNotReadOnly}))
	f.Add(false, []byte("HTTP/1.1 200 OK\r\n\r\n"))
	f.Add(false, join(welcome, event, reply(1, &proto.GetDataResponse{Data: []byte("x"), Stat: stat})))
	f.Add(true, join(reply(1, &proto.GetDataResponse{Data: []byte("x"), Stat: stat}), event,
		reply(2, &proto.ExistsResponse{Stat: stat}), reply(3, &proto.GetChildren2Response{Children: []string{"a"}, Stat: stat}),
		reply(4, &proto.Create2Response{Path: "/a", Stat: stat}), reply(5, &proto.MultiResponse{Results: []proto.MultiResult{
			{Op: proto.OpCreate2, Path: "/a"}, {Op: proto.OpCheck}}}), reply(-2, nil)))
	f.Add(true, frame(&proto.ReplyHeader{Xid: 3, Err: keeper.ErrNoAuth}))
	f.Add(true, frame(&proto.ReplyHeader{Xid: 1, Err: keeper.ErrSASLRequired}))
	f.Add(true, frame(&proto.ReplyHeader{Xid: -4, Err: keeper.ErrAuthFailed}))
	f.Add(true, join(reply(-8, nil), reply(-4, nil)))
	f.Add(true, raw(1<<30, make([]byte, 100)...))
	f.Add(true, raw(-1))
	f.Add(true, raw(0))
	f.Add(true, join(frame(&proto.ReplyHeader{Xid: 1}, &nullEvent{}), raw(3, 1, 2, 3)))
	f.Add(true, binary.BigEndian.AppendUint32(reply(1, nil), 1<<31-1))
	f.Fuzz(func(t *testing.T, greeted bool, bytes []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		synctest.Test(t, func(t *testing.T) { feed(t, greeted, welcome, bytes) })
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4<<20+64*len(bytes)))
	})
}

// feed lets a client do a bit of everything with a server that answers bytes.
func feed(t *testing.T, greeted bool, welcome, bytes []byte) {
	t.Helper()
	conns := 0
	dial := func(context.Context, string, string) (net.Conn, error) {
		conns++
		if conns > 3 {
			return nil, errors.New("enough")
		}
		ours, theirs := net.Pipe()
		go func() {
			defer ours.Close()
			hello := make([]byte, 49)
			if _, err := io.ReadFull(ours, hello); err != nil {
				return
			}
			go func() { _, _ = io.Copy(io.Discard, ours) }()
			if greeted {
				if _, err := ours.Write(welcome); err != nil {
					return
				}
				pass(time.Second) // let requests come
			}
			if _, err := ours.Write(bytes); err != nil {
				return
			}
			pass(time.Minute)
		}()
		return theirs, nil
	}
	c, err := New("peer/", WithDialer(dial), WithSessionTimeout(full), WithMaxFrame(0, 64<<10))
	require.NoError(t, err)
	require.NoError(t, c.Start())
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	multi := &keeper.Multi{Ops: []keeper.Op{&keeper.Create{Path: "/a"}, &keeper.Check{Path: "/b"}}}
	reqs := []keeper.Request{
		&keeper.Get{Path: "/a", Watch: true}, &keeper.Exists{Path: "/a", Watch: true}, &keeper.Children{Path: "/a", Watch: true},
		&keeper.Create{Path: "/a"}, multi, &keeper.GetACL{Path: "/a"}, &keeper.Delete{Path: "/a", Version: -1}, &keeper.Sync{Path: "/"},
	}
	if s, err := c.Session(ctx); err == nil {
		lapsed := make(chan error, 1)
		s.AfterLapse(func(cause error) { lapsed <- cause })
		_ = s.Do(ctx, reqs...)
		for _, r := range reqs {
			err := r.Meta().Err
			require.Equal(t, err == nil, keeper.OutcomeOf(err) == keeper.Applied && !errors.Is(err, keeper.ErrUndecodable) && !errors.Is(err, keeper.ErrTooLarge))
		}
		go func() { _ = c.AddAuth(ctx, "digest", []byte("u:p")) }()
		pass(5 * time.Second)
	}
	_ = c.Close()
	pass(2 * time.Minute) // the peer's goroutines end, too
}
