package proto

import (
	"encoding/hex"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/conclave-go/conclave/keeper"
)

func adminACL() []keeper.ACL {
	return []keeper.ACL{{Perms: keeper.PermAdmin, Scheme: "digest", ID: "u:h"}}
}

// encode is the header and body of r as a server decodes them.
func encode(t require.TestingT, e *Encoding, r keeper.Request) (RequestHeader, Record) {
	b, err := e.AppendRequest([]byte("before"), 5, r)
	require.NoError(t, err)
	require.Equal(t, "before", string(b[:6]))
	var h RequestHeader
	require.NoError(t, h.ReadFrom(b[6:]))
	require.Equal(t, int32(5), h.Xid)
	rec, err := DecodeRequest(h.Op, b[6+RequestHeaderSize:])
	require.NoError(t, err)
	require.Equal(t, b[6+RequestHeaderSize:], rec.AppendTo(nil), "nothing follows the record")
	return h, rec
}

func TestAppendRequest(t *testing.T) {
	open := keeper.OpenACL()
	for _, c := range []struct {
		req  keeper.Request
		op   OpCode
		want Record
	}{
		{&keeper.Create{Path: "/a", Data: []byte("d")}, OpCreate2,
			&CreateRequest{Path: "/a", Data: []byte("d"), ACL: open}},
		{&keeper.Create{Path: "/a", Mode: keeper.Ephemeral, ACL: adminACL()}, OpCreate2,
			&CreateRequest{Path: "/a", ACL: adminACL(), Flags: 1}},
		{&keeper.Create{Path: "/a-", Mode: keeper.PersistentSequential}, OpCreate2,
			&CreateRequest{Path: "/a-", ACL: open, Flags: 2}},
		{&keeper.Create{Path: "/a-", Mode: keeper.EphemeralSequential}, OpCreate2,
			&CreateRequest{Path: "/a-", ACL: open, Flags: 3}},
		{&keeper.Create{Path: "/a", Mode: keeper.Container, Data: []byte{}}, OpCreateContainer,
			&CreateRequest{Path: "/a", Data: []byte{}, ACL: open, Flags: 4}},
		{&keeper.Create{Path: "/a", Mode: keeper.PersistentTTL, TTL: time.Second}, OpCreateTTL,
			&CreateTTLRequest{Path: "/a", ACL: open, Flags: 5, TTL: 1000}},
		{&keeper.Create{Path: "/a-", Mode: keeper.PersistentSequentialTTL, TTL: keeper.MaxTTL}, OpCreateTTL,
			&CreateTTLRequest{Path: "/a-", ACL: open, Flags: 6, TTL: 1<<40 - 1}},
		{&keeper.Delete{Path: "/a", Version: 3}, OpDelete, &DeleteRequest{Path: "/a", Version: 3}},
		{&keeper.Get{Path: "/a", Watch: true}, OpGetData, &GetDataRequest{Path: "/a", Watch: true}},
		{&keeper.Set{Path: "/a", Data: []byte("d"), Version: -1}, OpSetData,
			&SetDataRequest{Path: "/a", Data: []byte("d"), Version: -1}},
		{&keeper.Exists{Path: "/a"}, OpExists, &ExistsRequest{Path: "/a"}},
		{&keeper.Children{Path: "/a", Watch: true}, OpGetChildren2, &GetChildrenRequest{Path: "/a", Watch: true}},
		{&keeper.GetACL{Path: "/a"}, OpGetACL, &GetACLRequest{Path: "/a"}},
		{&keeper.SetACL{Path: "/a", ACL: adminACL(), Version: 2}, OpSetACL,
			&SetACLRequest{Path: "/a", ACL: adminACL(), Version: 2}},
		{&keeper.SetACL{Path: "/a"}, OpSetACL, &SetACLRequest{Path: "/a", ACL: open}},
		{&keeper.Sync{Path: "/a"}, OpSync, &SyncRequest{Path: "/a"}},
		{&keeper.Multi{}, OpMulti, &MultiRequest{}},
		{&keeper.Multi{Ops: []keeper.Op{
			&keeper.Create{Path: "/a", Data: []byte("d")},
			&keeper.Create{Path: "/b", Mode: keeper.Container},
			&keeper.Create{Path: "/c-", Mode: keeper.PersistentSequentialTTL, TTL: time.Hour},
			&keeper.Set{Path: "/d", Data: []byte("e"), Version: 1},
			&keeper.Delete{Path: "/e", Version: 2},
			&keeper.Check{Path: "/f", Version: 3},
		}}, OpMulti, &MultiRequest{Ops: []MultiOp{
			{OpCreate2, &CreateRequest{Path: "/a", Data: []byte("d"), ACL: open}},
			{OpCreateContainer, &CreateRequest{Path: "/b", ACL: open, Flags: 4}},
			{OpCreateTTL, &CreateTTLRequest{Path: "/c-", ACL: open, Flags: 6, TTL: 3600_000}},
			{OpSetData, &SetDataRequest{Path: "/d", Data: []byte("e"), Version: 1}},
			{OpDelete, &DeleteRequest{Path: "/e", Version: 2}},
			{OpCheck, &CheckVersionRequest{Path: "/f", Version: 3}},
		}}},
	} {
		t.Run(fmt.Sprintf("%s %v", c.req.Name(), c.op), func(t *testing.T) {
			h, rec := encode(t, &Encoding{}, c.req)
			require.Equal(t, c.op, h.Op)
			require.Equal(t, c.want, rec)
		})
	}
}

func TestAppendRequestMakesGoldenFrames(t *testing.T) {
	for _, c := range []struct {
		golden string
		xid    int32
		req    keeper.Request
	}{
		{goldCreate2, 1, &keeper.Create{Path: "/a", Data: []byte("x"), Mode: keeper.EphemeralSequential}},
		{goldGetData, 5, &keeper.Get{Path: "/b", Watch: true}},
		{goldMulti, 13, &keeper.Multi{Ops: []keeper.Op{
			&keeper.Check{Path: "/b", Version: 1},
			&keeper.Create{Path: "/b/c", Data: []byte("z")},
			&keeper.Create{Path: "/b/t", Mode: keeper.Container},
			&keeper.Delete{Path: "/b/t", Version: keeper.AnyVersion},
		}}},
	} {
		b, mark := BeginFrame(nil)
		b, err := (&Encoding{}).AppendRequest(b, c.xid, c.req)
		require.NoError(t, err)
		require.Equal(t, c.golden, hex.EncodeToString(EndFrame(b, mark)))
	}
}

func TestDefaultACL(t *testing.T) {
	e := &Encoding{DefaultACL: adminACL()}
	_, rec := encode(t, e, &keeper.Create{Path: "/a"})
	require.Equal(t, adminACL(), as[*CreateRequest](rec).ACL)

	_, rec = encode(t, e, &keeper.Create{Path: "/a", ACL: keeper.ReadACL()})
	require.Equal(t, keeper.ReadACL(), as[*CreateRequest](rec).ACL)

	_, rec = encode(t, e, &keeper.Multi{Ops: []keeper.Op{&keeper.Create{Path: "/a"}}})
	require.Equal(t, adminACL(), as[*CreateRequest](as[*MultiRequest](rec).Ops[0].Record).ACL)
}

func TestChrootIsPrefixed(t *testing.T) {
	for _, c := range []struct {
		req  keeper.Request
		want string
	}{
		{&keeper.Get{Path: "/a"}, "/app/x/a"},
		{&keeper.Get{Path: "/"}, "/app/x"},
		{&keeper.Set{Path: "/"}, "/app/x"},
		{&keeper.Exists{Path: "/"}, "/app/x"},
		{&keeper.Children{Path: "/"}, "/app/x"},
		{&keeper.GetACL{Path: "/"}, "/app/x"},
		{&keeper.SetACL{Path: "/"}, "/app/x"},
		{&keeper.Sync{Path: "/"}, "/app/x"},
		{&keeper.Create{Path: "/a"}, "/app/x/a"},
		{&keeper.Create{Path: "/", Mode: keeper.EphemeralSequential}, "/app/x/"},
		{&keeper.Delete{Path: "/a"}, "/app/x/a"},
		{&keeper.Delete{Path: "/"}, "/"}, // the server refuses that, as it should
		{&keeper.Multi{Ops: []keeper.Op{&keeper.Check{Path: "/a"}}}, "/app/x/a"},
		{&keeper.Multi{Ops: []keeper.Op{&keeper.Check{Path: "/"}}}, "/app/x"},
		{&keeper.Multi{Ops: []keeper.Op{&keeper.Create{Path: "/a"}}}, "/app/x/a"},
		{&keeper.Multi{Ops: []keeper.Op{&keeper.Set{Path: "/a"}}}, "/app/x/a"},
		{&keeper.Multi{Ops: []keeper.Op{&keeper.Delete{Path: "/a"}}}, "/app/x/a"},
	} {
		_, rec := encode(t, &Encoding{Chroot: "/app/x"}, c.req)
		if m, ok := rec.(*MultiRequest); ok {
			rec = m.Ops[0].Record
		}
		require.Equal(t, c.want, pathOf(t, rec), "%s %s", c.req.Name(), c.req.Target())
	}
}

func pathOf(t *testing.T, rec Record) string {
	t.Helper()
	switch rec := rec.(type) {
	case *GetDataRequest:
		return rec.Path
	case *SetDataRequest:
		return rec.Path
	case *ExistsRequest:
		return rec.Path
	case *GetChildrenRequest:
		return rec.Path
	case *GetACLRequest:
		return rec.Path
	case *SetACLRequest:
		return rec.Path
	case *SyncRequest:
		return rec.Path
	case *CreateRequest:
		return rec.Path
	case *DeleteRequest:
		return rec.Path
	case *CheckVersionRequest:
		return rec.Path
	}
	t.Fatalf("no path in %T", rec)
	return ""
}

func TestStripChroot(t *testing.T) {
	for _, c := range []struct {
		chroot, path, want string
		ok                 bool
	}{
		{"", "/a", "/a", true},
		{"", "/", "/", true},
		{"/app", "/app", "/", true},
		{"/app", "/app/a", "/a", true},
		{"/app", "/app/a/b", "/a/b", true},
		{"/app", "/apple", "", false},
		{"/app", "/", "", false},
		{"/app", "", "", false},
		{"/app", "/other/app", "", false},
		{"/app", "/zookeeper/config", "", false},
	} {
		e := &Encoding{Chroot: c.chroot}
		got, ok := e.StripChroot(c.path)
		require.Equal(t, c.ok, ok, "%q under %q", c.path, c.chroot)
		require.Equal(t, c.want, got)
		if ok {
			require.Equal(t, c.path, e.FullPath(got))
		}
	}
}

// What breaks servers cannot be encoded, whoever forgot to validate it: a create
// with TTL opcode and plain flags is logged and can never be replayed, and a
// check alone is never answered.
func TestNothingThatBreaksServersIsEncoded(t *testing.T) {
	op := rapid.Custom(func(t *rapid.T) keeper.Op {
		switch rapid.IntRange(0, 3).Draw(t, "op") {
		case 0:
			return &keeper.Check{Path: "/c"}
		case 1:
			return &keeper.Delete{Path: "/d"}
		}
		return &keeper.Create{
			Path: "/a",
			Mode: keeper.Mode(rapid.OneOf(rapid.Int32Range(-2, 8), rapid.Int32()).Draw(t, "mode")),
			TTL:  time.Duration(rapid.OneOf(rapid.Int64Range(-2, 2_000_000), rapid.Int64()).Draw(t, "ttl")),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		ops := rapid.SliceOfN(op, 1, 4).Draw(t, "ops")
		var r keeper.Request = &keeper.Multi{Ops: ops}
		if c, ok := ops[0].(*keeper.Create); ok && len(ops) == 1 {
			r = c
		}
		b, err := (&Encoding{}).AppendRequest([]byte("before"), 1, r)
		if err != nil {
			require.ErrorIs(t, err, keeper.ErrInvalid)
			require.Equal(t, "before", string(b), "nothing is left of a refused request")
			require.Error(t, r.Validate())
			return
		}
		h, rec := encode(t, &Encoding{}, r)
		if m, ok := rec.(*MultiRequest); ok {
			for _, op := range m.Ops {
				requireSane(t, op.Op, op.Record)
			}
			return
		}
		requireSane(t, h.Op, rec)
		require.NotEqual(t, OpCheck, h.Op)
	})
}

func requireSane(t require.TestingT, op OpCode, rec Record) {
	switch rec := rec.(type) {
	case *CreateRequest:
		if op == OpCreateContainer {
			require.Equal(t, int32(4), rec.Flags)
		} else {
			require.Equal(t, OpCreate2, op)
			require.LessOrEqual(t, uint32(rec.Flags), uint32(3))
		}
	case *CreateTTLRequest:
		require.Equal(t, OpCreateTTL, op)
		require.Contains(t, []int32{5, 6}, rec.Flags)
		require.Positive(t, rec.TTL)
		require.Less(t, rec.TTL, int64(1)<<40)
	}
}

func TestForeignRequestsAreRefused(t *testing.T) {
	for name, r := range map[string]keeper.Request{
		"nil":       nil,
		"embedded":  struct{ *keeper.Get }{&keeper.Get{Path: "/a"}},
		"nil op":    &keeper.Multi{Ops: []keeper.Op{nil}},
		"other op":  &keeper.Multi{Ops: []keeper.Op{struct{ *keeper.Check }{&keeper.Check{Path: "/a"}}}},
		"bad mode":  &keeper.Create{Path: "/a", Mode: 7},
		"short TTL": &keeper.Create{Path: "/a", Mode: keeper.PersistentTTL, TTL: time.Microsecond},
		"long TTL":  &keeper.Create{Path: "/a", Mode: keeper.PersistentTTL, TTL: math.MaxInt64},
	} {
		b, err := (&Encoding{}).AppendRequest([]byte("x"), 1, r)
		require.ErrorIs(t, err, keeper.ErrInvalid, name)
		require.Equal(t, "x", string(b), name)
	}
}

// requests of every kind, for the tests of allocation.
func everyRequest() []keeper.Request {
	return []keeper.Request{
		&keeper.Create{Path: "/dir/lock-", Data: []byte("holder"), Mode: keeper.EphemeralSequential},
		&keeper.Create{Path: "/dir/lock-", Mode: keeper.PersistentTTL, TTL: time.Second, ACL: adminACL()},
		&keeper.Delete{Path: "/dir/lock-0000000001", Version: -1},
		&keeper.Get{Path: "/dir/lock-0000000001", Watch: true},
		&keeper.Set{Path: "/dir/value", Data: []byte("value")},
		&keeper.Exists{Path: "/"},
		&keeper.Children{Path: "/dir"},
		&keeper.GetACL{Path: "/dir"},
		&keeper.SetACL{Path: "/dir", ACL: adminACL()},
		&keeper.Sync{Path: "/"},
		&keeper.Multi{Ops: []keeper.Op{
			&keeper.Check{Path: "/dir/lock-0000000001", Version: -1},
			&keeper.Set{Path: "/dir/value", Data: []byte("value"), Version: 3},
			&keeper.Create{Path: "/dir/next", Mode: keeper.Container},
			&keeper.Delete{Path: "/dir/last"},
		}},
	}
}

func TestAppendRequestAllocatesNothing(t *testing.T) {
	b := make([]byte, 0, 4096)
	for _, e := range []*Encoding{{}, {Chroot: "/app", DefaultACL: adminACL()}} {
		for _, r := range everyRequest() {
			require.Zero(t, testing.AllocsPerRun(100, func() {
				if _, err := e.AppendRequest(b, 1, r); err != nil {
					t.Error(err)
				}
			}), "%s, chroot %q", r.Name(), e.Chroot)
		}
	}
}

func BenchmarkAppendRequest(b *testing.B) {
	buf := make([]byte, 0, 4096)
	e := &Encoding{Chroot: "/app"}
	for _, r := range everyRequest() {
		b.Run(r.Name(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.AppendRequest(buf, 1, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
