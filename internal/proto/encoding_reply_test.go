package proto

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
)

func okHeader() ReplyHeader { return ReplyHeader{Xid: 7, Zxid: 9} }

// body is the encoding of records, nil for none.
func body(recs ...Record) []byte {
	var b []byte
	for _, rec := range recs {
		b = rec.AppendTo(b)
	}
	return b
}

func TestDecodeReplyFillsTheRequest(t *testing.T) {
	meta := keeper.Result{Xid: 7, Zxid: 9}
	stat := sampleStat()
	for _, c := range []struct {
		name      string
		req, want keeper.Request
		body      []byte
	}{
		{"create", &keeper.Create{Path: "/a"},
			&keeper.Create{Path: "/a", Result: meta, Created: "/a", Stat: stat},
			body(&Create2Response{Path: "/app/a", Stat: stat})},
		{"sequential create", &keeper.Create{Path: "/a-", Mode: keeper.EphemeralSequential},
			&keeper.Create{Path: "/a-", Mode: keeper.EphemeralSequential, Result: meta, Created: "/a-0000000001", Stat: stat},
			body(&Create2Response{Path: "/app/a-0000000001", Stat: stat})},
		{"sequential create past the end of the numbers", &keeper.Create{Path: "/a-", Mode: keeper.PersistentSequential},
			&keeper.Create{Path: "/a-", Mode: keeper.PersistentSequential, Result: meta, Created: "/a--2147483648", Stat: stat},
			body(&Create2Response{Path: "/app/a--2147483648", Stat: stat})},
		{"nameless sequential create", &keeper.Create{Path: "/", Mode: keeper.EphemeralSequential},
			&keeper.Create{Path: "/", Mode: keeper.EphemeralSequential, Result: meta, Created: "/0000000001", Stat: stat},
			body(&Create2Response{Path: "/app/0000000001", Stat: stat})},
		{"delete", &keeper.Delete{Path: "/a"}, &keeper.Delete{Path: "/a", Result: meta}, nil},
		{"get", &keeper.Get{Path: "/a"},
			&keeper.Get{Path: "/a", Result: meta, Data: []byte("d"), Stat: stat},
			body(&GetDataResponse{Data: []byte("d"), Stat: stat})},
		{"get of null", &keeper.Get{Path: "/a"},
			&keeper.Get{Path: "/a", Result: meta, Stat: stat},
			body(&GetDataResponse{Stat: stat})},
		{"set", &keeper.Set{Path: "/a"}, &keeper.Set{Path: "/a", Result: meta, Stat: stat},
			body(&SetDataResponse{Stat: stat})},
		{"exists", &keeper.Exists{Path: "/a"},
			&keeper.Exists{Path: "/a", Result: meta, Found: true, Stat: stat},
			body(&ExistsResponse{Stat: stat})},
		{"children", &keeper.Children{Path: "/a"},
			&keeper.Children{Path: "/a", Result: meta, Names: []string{"x", "y"}, Stat: stat},
			body(&GetChildren2Response{Children: []string{"x", "y"}, Stat: stat})},
		{"get ACL", &keeper.GetACL{Path: "/a"},
			&keeper.GetACL{Path: "/a", Result: meta, ACL: adminACL(), Stat: stat},
			body(&GetACLResponse{ACL: adminACL(), Stat: stat})},
		{"set ACL", &keeper.SetACL{Path: "/a"}, &keeper.SetACL{Path: "/a", Result: meta, Stat: stat},
			body(&SetACLResponse{Stat: stat})},
		{"sync", &keeper.Sync{Path: "/a"}, &keeper.Sync{Path: "/a", Result: meta},
			body(&SyncResponse{Path: "/app/a"})},
		{"empty multi", &keeper.Multi{}, &keeper.Multi{Result: meta}, body(&MultiResponse{})},
		{"multi", &keeper.Multi{Ops: []keeper.Op{
			&keeper.Check{Path: "/a"}, &keeper.Create{Path: "/b"}, &keeper.Create{Path: "/c"},
			&keeper.Set{Path: "/d"}, &keeper.Delete{Path: "/e"},
		}},
			&keeper.Multi{Result: meta, Ops: []keeper.Op{
				&keeper.Check{Path: "/a", Result: meta},
				&keeper.Create{Path: "/b", Result: meta, Created: "/b"}, // from a server that sends no Stat
				&keeper.Create{Path: "/c", Result: meta, Created: "/c", Stat: stat},
				&keeper.Set{Path: "/d", Result: meta, Stat: stat},
				&keeper.Delete{Path: "/e", Result: meta},
			}},
			body(&MultiResponse{Results: []MultiResult{
				{Op: OpCheck}, {Op: OpCreate, Path: "/app/b"}, {Op: OpCreate2, Path: "/app/c", Stat: &stat},
				{Op: OpSetData, Stat: &stat}, {Op: OpDelete},
			}})},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &Encoding{Chroot: "/app"}
			in := append(bytes.Clone(c.body), "trailing"...)
			require.NoError(t, e.DecodeReply(c.req, okHeader(), in))
			for i := range in {
				in[i] = 0xee
			}
			require.Equal(t, c.want, c.req, "nothing points into the body")
		})
	}
}

func TestDecodeReplyOfACode(t *testing.T) {
	for _, r := range everyRequest() {
		for _, code := range []keeper.Code{
			keeper.ErrNoAuth, keeper.ErrSessionExpired, keeper.ErrMarshalling, -9999, 1,
			// No server sends these, and if one does it has still answered.
			keeper.ErrConnectionLoss, keeper.ErrOperationTimeout, keeper.ErrRequestTimeout,
		} {
			r.Reset()
			err := (&Encoding{}).DecodeReply(r, ReplyHeader{Xid: 7, Zxid: 9, Err: code}, nil)
			require.ErrorIs(t, err, code)
			require.Same(t, r.Meta().Err, err)
			require.Equal(t, keeper.NotApplied, keeper.OutcomeOf(err), "%s %v", r.Name(), code)
			require.Equal(t, int32(7), r.Meta().Xid)
			require.Equal(t, int64(9), r.Meta().Zxid)
			var op *keeper.OpError
			require.ErrorAs(t, err, &op)
			require.Equal(t, r.Name(), op.Op)
			require.Equal(t, r.Target(), op.Path)
			if m, ok := r.(*keeper.Multi); ok {
				for _, op := range m.Ops {
					require.ErrorIs(t, op.Meta().Err, code)
					require.Equal(t, keeper.NotApplied, keeper.OutcomeOf(op.Meta().Err))
					require.Equal(t, int32(7), op.Meta().Xid)
				}
			}
		}
	}
}

func TestNoNodeIsAnAnswerToExists(t *testing.T) {
	noNode := ReplyHeader{Xid: 7, Zxid: 9, Err: keeper.ErrNoNode}
	r := &keeper.Exists{Path: "/a"}
	require.NoError(t, (&Encoding{}).DecodeReply(r, noNode, nil))
	require.Equal(t, &keeper.Exists{Path: "/a", Result: keeper.Result{Xid: 7, Zxid: 9}}, r)

	get := &keeper.Get{Path: "/a"}
	require.ErrorIs(t, (&Encoding{}).DecodeReply(get, noNode, nil), keeper.ErrNoNode)
}

// What a server says may be malformed, or may not be an answer to the question.
func TestUndecodableReplies(t *testing.T) {
	stat := sampleStat()
	negative := stat
	negative.NumChildren = -1
	create := &keeper.Create{Path: "/a", Mode: keeper.Persistent}
	sequential := &keeper.Create{Path: "/a-", Mode: keeper.EphemeralSequential}
	created := func(path string) []byte { return body(&Create2Response{Path: path, Stat: stat}) }
	children := func(names ...string) []byte { return body(&GetChildren2Response{Children: names, Stat: stat}) }
	for _, c := range []struct {
		name string
		req  keeper.Request
		body []byte
	}{
		{"create without a body", create, nil},
		{"create with a short Stat", create, created("/app/a")[:20]},
		{"created elsewhere", create, created("/app/b")},
		{"created outside the chroot", create, created("/a")},
		{"created with a number nobody asked for", create, created("/app/a0000000001")},
		{"created without a path", create, created("")},
		{"created with a negative size", create, body(&Create2Response{Path: "/app/a", Stat: negative})},
		{"sequential without a number", sequential, created("/app/a-")},
		{"sequential with another prefix", sequential, created("/app/b-0000000001")},
		{"sequential further down", sequential, created("/app/a-0000000001/x")},
		{"sequential that is cut short", sequential, created("/app/a")},
		{"get without a body", &keeper.Get{Path: "/a"}, nil},
		{"get with a negative size", &keeper.Get{Path: "/a"}, body(&GetDataResponse{Data: []byte("d"), Stat: negative})},
		{"set without a body", &keeper.Set{Path: "/a"}, nil},
		{"set with a negative size", &keeper.Set{Path: "/a"}, body(&SetDataResponse{Stat: negative})},
		{"exists without a body", &keeper.Exists{Path: "/a"}, nil},
		{"exists with a negative size", &keeper.Exists{Path: "/a"}, body(&ExistsResponse{Stat: negative})},
		{"children without a body", &keeper.Children{Path: "/a"}, nil},
		{"a child that leads elsewhere", &keeper.Children{Path: "/a"}, children("x", "../y")},
		{"a child without a name", &keeper.Children{Path: "/a"}, children("x", "")},
		{"children with a negative size", &keeper.Children{Path: "/a"}, body(&GetChildren2Response{Stat: negative})},
		{"get ACL without a body", &keeper.GetACL{Path: "/a"}, nil},
		{"get ACL with a negative size", &keeper.GetACL{Path: "/a"}, body(&GetACLResponse{ACL: adminACL(), Stat: negative})},
		{"set ACL without a body", &keeper.SetACL{Path: "/a"}, nil},
		{"set ACL with a negative size", &keeper.SetACL{Path: "/a"}, body(&SetACLResponse{Stat: negative})},
		{"sync without a body", &keeper.Sync{Path: "/a"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.req.Reset()
			err := (&Encoding{Chroot: "/app"}).DecodeReply(c.req, okHeader(), c.body)
			require.ErrorIs(t, err, keeper.ErrUndecodable)
			require.Equal(t, keeper.Applied, keeper.OutcomeOf(err))
			require.Same(t, c.req.Meta().Err, err)

			require.Equal(t, keeper.Result{Err: err, Xid: 7, Zxid: 9}, *c.req.Meta())
			requireNoResults(t, c.req)
		})
	}
}

// requireNoResults resets all but Meta and sees whether that changed anything.
func requireNoResults(t require.TestingT, r keeper.Request) {
	meta := *r.Meta()
	switch r := r.(type) {
	case *keeper.Create:
		c := *r
		c.Reset()
		c.Result = meta
		require.Equal(t, c, *r)
	case *keeper.Get:
		c := *r
		c.Reset()
		c.Result = meta
		require.Equal(t, c, *r)
	case *keeper.Set:
		require.Zero(t, r.Stat)
	case *keeper.Exists:
		require.False(t, r.Found)
		require.Zero(t, r.Stat)
	case *keeper.Children:
		require.Nil(t, r.Names)
		require.Zero(t, r.Stat)
	case *keeper.GetACL:
		require.Nil(t, r.ACL)
		require.Zero(t, r.Stat)
	case *keeper.SetACL:
		require.Zero(t, r.Stat)
	}
}

func TestDecodeReplyOfGoldenFrames(t *testing.T) {
	decode := func(r keeper.Request, golden string) error {
		b := unhex(t, golden)[4:]
		var h ReplyHeader
		require.NoError(t, h.ReadFrom(b))
		return (&Encoding{}).DecodeReply(r, h, b[ReplyHeaderSize:])
	}
	create := &keeper.Create{Path: "/a", Mode: keeper.EphemeralSequential}
	require.NoError(t, decode(create, goldCreate2Reply))
	require.Equal(t, "/a0000000000", create.Created)
	require.Equal(t, int64(8), create.Stat.Czxid)
	require.Equal(t, int64(goldSession), create.Stat.EphemeralOwner)

	require.ErrorIs(t, decode(&keeper.Create{Path: "/b"}, goldNodeExists), keeper.ErrNodeExists)

	get := &keeper.Get{Path: "/b"}
	require.NoError(t, decode(get, goldGetDataReply))
	require.Equal(t, []byte{}, get.Data)

	m := &keeper.Multi{Ops: []keeper.Op{
		&keeper.Check{Path: "/b", Version: 1}, &keeper.Create{Path: "/b/c"},
		&keeper.Create{Path: "/b/t", Mode: keeper.Container}, &keeper.Delete{Path: "/b/t", Version: -1},
	}}
	require.NoError(t, decode(m, goldMultiReply))
	require.Equal(t, "/b/c", as[*keeper.Create](m.Ops[1]).Created)
	require.Zero(t, as[*keeper.Create](m.Ops[1]).Stat, "3.8.0 sends no Stat here")
	require.Equal(t, int64(12), as[*keeper.Create](m.Ops[2]).Stat.Czxid)

	require.NoError(t, decode(&keeper.Multi{}, goldMultiEmptyReply))
	three := &keeper.Multi{Ops: []keeper.Op{
		&keeper.Check{Path: "/b"}, &keeper.Delete{Path: "/x"}, &keeper.Set{Path: "/b"},
	}}
	require.ErrorIs(t, decode(three, goldMultiFailed), keeper.ErrNoNode)
	require.ErrorIs(t, three.Ops[1].Meta().Err, keeper.ErrNoNode)
}

// FuzzDecodeReply is the client's door: any reply to any request.
func FuzzDecodeReply(f *testing.F) {
	for kind := range everyRequest() {
		for _, rec := range samples() {
			f.Add(byte(kind), int32(0), rec.AppendTo(nil))
		}
		f.Add(byte(kind), int32(keeper.ErrNoNode), []byte{})
		f.Add(byte(kind), int32(keeper.ErrConnectionLoss), []byte{})
	}
	f.Add(byte(10), int32(0), errorResults(0, keeper.ErrNoNode, -2, -2))
	f.Add(byte(0), int32(0), body(&Create2Response{Path: "/app/dir/lock-0000000001"}))
	f.Fuzz(func(t *testing.T, kind byte, code int32, in []byte) {
		r := everyRequest()[int(kind)%len(everyRequest())]
		h := ReplyHeader{Xid: 7, Zxid: 9, Err: keeper.Code(code)}
		err := (&Encoding{Chroot: "/app"}).DecodeReply(r, h, in)
		require.Equal(t, err, r.Meta().Err)
		require.Equal(t, h.Xid, r.Meta().Xid)
		outcome := keeper.OutcomeOf(err)
		_, isMulti := r.(*keeper.Multi)
		switch {
		case code != 0 && err != nil:
			require.Equal(t, keeper.NotApplied, outcome)
		case !isMulti:
			require.Equal(t, keeper.Applied, outcome)
		}
		if err != nil {
			var op *keeper.OpError
			require.ErrorAs(t, err, &op)
			require.True(t, code != 0 || isMulti || errors.Is(err, keeper.ErrUndecodable))
			requireNoResults(t, r)
			return
		}
		switch r := r.(type) {
		case *keeper.Create:
			if r.Mode.IsSequential() {
				require.Greater(t, len(r.Created), len(r.Path))
			}
			require.Equal(t, r.Path, r.Created[:len(r.Path)])
		case *keeper.Children:
			for _, name := range r.Names {
				require.NotContains(t, name, "/")
				require.NotEmpty(t, name)
			}
		}
	})
}
