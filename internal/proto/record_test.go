package proto

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/jute"
	"github.com/conclave-go/conclave/keeper"
)

const canary = "hunter2"

func sampleStat() keeper.Stat {
	return keeper.Stat{
		Czxid: 1<<32 | 1, Mzxid: 1<<32 | 2, Ctime: 3, Mtime: 4, Version: 5, Cversion: -6, Aversion: 7,
		EphemeralOwner: math.MinInt64, DataLength: 9, NumChildren: 10, Pzxid: math.MaxInt64,
	}
}

// samples holds every record, with every field set to a value of its own.
func samples() []Record {
	stat := sampleStat()
	acl := []keeper.ACL{{Perms: keeper.PermAll, Scheme: "world", ID: "anyone"}, {Perms: keeper.PermRead, Scheme: "digest", ID: "u:h"}}
	return []Record{
		&RequestHeader{Xid: 1, Op: OpSync},
		&ReplyHeader{Xid: 2, Zxid: 3, Err: keeper.ErrNoAuth},
		&WatcherEvent{Type: 1, State: 3, Path: "/a"},
		&ErrorResponse{Err: keeper.ErrNoWatcher},
		&ConnectRequest{ProtocolVersion: 1, LastZxidSeen: 2, TimeOut: 3, SessionID: 4, Passwd: []byte(canary), ReadOnly: true, HasReadOnly: true},
		&ConnectRequest{LastZxidSeen: 2, TimeOut: 3, SessionID: 4, Passwd: []byte(canary)},
		&ConnectResponse{ProtocolVersion: 1, TimeOut: 2, SessionID: 3, Passwd: []byte(canary), ReadOnly: true, HasReadOnly: true},
		&ConnectResponse{TimeOut: 2, SessionID: 3, Passwd: []byte(canary)},
		&CreateRequest{Path: "/a", Data: []byte("d"), ACL: acl, Flags: 3},
		&CreateRequest{Path: "/a", Data: nil, ACL: acl},
		&CreateTTLRequest{Path: "/a", Data: []byte{}, ACL: acl, Flags: 5, TTL: 1<<40 - 1},
		&CreateResponse{Path: "/a"},
		&Create2Response{Path: "/a", Stat: sampleStat()},
		&DeleteRequest{Path: "/a", Version: -1},
		&CheckVersionRequest{Path: "/a", Version: 3},
		&ExistsRequest{Path: "/a", Watch: true},
		&ExistsResponse{Stat: sampleStat()},
		&GetDataRequest{Path: "/a", Watch: true},
		&GetDataResponse{Data: []byte("d"), Stat: sampleStat()},
		&GetDataResponse{Data: nil, Stat: sampleStat()},
		&SetDataRequest{Path: "/a", Data: []byte("d"), Version: 4},
		&SetDataResponse{Stat: sampleStat()},
		&SyncRequest{Path: "/a"},
		&SyncResponse{Path: "/a"},
		&GetChildrenRequest{Path: "/a", Watch: true},
		&GetChildrenResponse{Children: []string{"a", "bb", ""}},
		&GetChildren2Response{Children: []string{"a"}, Stat: sampleStat()},
		&GetEphemeralsRequest{PrefixPath: "/a"},
		&GetEphemeralsResponse{Ephemerals: []string{"/a"}},
		&GetAllChildrenNumberRequest{Path: "/a"},
		&GetAllChildrenNumberResponse{TotalNumber: 7},
		&GetACLRequest{Path: "/a"},
		&GetACLResponse{ACL: acl, Stat: sampleStat()},
		&SetACLRequest{Path: "/a", ACL: acl, Version: 2},
		&SetACLResponse{Stat: sampleStat()},
		&AuthPacket{Type: 1, Scheme: "digest", Auth: []byte(canary)},
		&GetSASLRequest{Token: []byte(canary)},
		&SetSASLResponse{Token: []byte(canary)},
		&WhoAmIResponse{ClientInfo: []ClientInfo{{"ip", "::1"}, {"digest", "u"}}},
		&ReconfigRequest{JoiningServers: "j", LeavingServers: "l", NewMembers: "n", CurConfigID: 9},
		&SetWatches{RelativeZxid: 1, DataWatches: []string{"/d"}, ExistWatches: []string{"/e"}, ChildWatches: []string{"/c"}},
		&SetWatches2{
			RelativeZxid: 1, DataWatches: []string{"/d"}, ExistWatches: []string{"/e"}, ChildWatches: []string{"/c"},
			PersistentWatches: []string{"/p"}, PersistentRecursiveWatches: []string{"/r"},
		},
		&AddWatchRequest{Path: "/a", Mode: WatchRecursive},
		&CheckWatchesRequest{Path: "/a", Type: WatcherRecursive},
		&RemoveWatchesRequest{Path: "/a", Type: WatcherData},
		&MultiHeader{Type: OpCheck, Done: true, Err: -1},
		&MultiRequest{Ops: []MultiOp{
			{OpCreate, &CreateRequest{Path: "/1", Data: []byte("d"), ACL: acl}},
			{OpCreate2, &CreateRequest{Path: "/2", ACL: acl, Flags: 1}},
			{OpCreateContainer, &CreateRequest{Path: "/3", ACL: acl, Flags: 4}},
			{OpCreateTTL, &CreateTTLRequest{Path: "/4", ACL: acl, Flags: 5, TTL: 6}},
			{OpDelete, &DeleteRequest{Path: "/5", Version: 1}},
			{OpSetData, &SetDataRequest{Path: "/6", Data: []byte("e"), Version: 2}},
			{OpCheck, &CheckVersionRequest{Path: "/7", Version: 3}},
		}},
		&MultiRequest{Ops: []MultiOp{
			{OpGetData, &GetDataRequest{Path: "/1", Watch: true}},
			{OpGetChildren, &GetChildrenRequest{Path: "/2"}},
		}},
		&MultiResponse{Results: []MultiResult{
			{Op: OpCreate, Path: "/1"}, {Op: OpCreate2, Path: "/2", Stat: &stat},
			{Op: OpDelete}, {Op: OpSetData, Stat: &stat}, {Op: OpCheck},
		}},
		&MultiResponse{Results: []MultiResult{{Op: OpError}, {Op: OpError, Err: keeper.ErrBadVersion}}},
		&MultiReadResponse{Results: []MultiReadResult{
			{Op: OpGetData, Body: &GetDataResponse{Data: []byte("d"), Stat: sampleStat()}},
			{Op: OpGetChildren, Body: &GetChildrenResponse{Children: []string{"a"}}},
			{Op: OpError, Err: keeper.ErrNoNode},
		}},
	}
}

func sampleName(i int, rec Record) string { return fmt.Sprintf("%02d %T", i, rec) }

func TestRecordsRoundTrip(t *testing.T) {
	for i, rec := range samples() {
		t.Run(sampleName(i, rec), func(t *testing.T) {
			b := rec.AppendTo([]byte("before"))
			require.Equal(t, "before", string(b[:6]))
			b = b[6:]
			got := fresh(rec)
			require.NoError(t, got.ReadFrom(b))
			require.Equal(t, rec, got)

			require.NoError(t, got.ReadFrom(b), "a record can be decoded into again")
			require.Equal(t, rec, got)

			got = fresh(rec)
			require.NoError(t, got.ReadFrom(append(b, "\x01trailing"...)), "bytes that follow are a later version's")
			if _, old := withoutReadOnly(rec); !old {
				require.Equal(t, rec, got)
			}
		})
	}
}

// withoutReadOnly tells of a connect record in which the byte is missing.
func withoutReadOnly(rec Record) (Record, bool) {
	switch rec := rec.(type) {
	case *ConnectRequest:
		return rec, !rec.HasReadOnly
	case *ConnectResponse:
		return rec, !rec.HasReadOnly
	}
	return rec, false
}

func TestTruncatedRecordsAreErrors(t *testing.T) {
	for i, rec := range samples() {
		t.Run(sampleName(i, rec), func(t *testing.T) {
			b := rec.AppendTo(nil)
			for n := range b {
				err := fresh(rec).ReadFrom(b[:n:n])
				if n == len(b)-1 && isConnect(rec) && len(b) > 1 && err == nil {
					continue // only the optional byte is missing
				}
				var bad *DecodeError
				require.ErrorAs(t, err, &bad, "%d of %d bytes", n, len(b))
				var where *jute.Error
				require.ErrorAs(t, err, &where)
			}
		})
	}
}

func isConnect(rec Record) bool {
	switch rec := rec.(type) {
	case *ConnectRequest:
		return rec.HasReadOnly
	case *ConnectResponse:
		return rec.HasReadOnly
	}
	return false
}

func TestDecodedRecordsOwnTheirMemory(t *testing.T) {
	for i, rec := range samples() {
		t.Run(sampleName(i, rec), func(t *testing.T) {
			b := rec.AppendTo(nil)
			got := fresh(rec)
			require.NoError(t, got.ReadFrom(b))
			for i := range b {
				b[i] = 0xee
			}
			require.Equal(t, rec, got)
		})
	}
}

func TestAppendToAllocatesNothing(t *testing.T) {
	b := make([]byte, 0, 4096)
	for i, rec := range samples() {
		t.Run(sampleName(i, rec), func(t *testing.T) {
			require.Zero(t, testing.AllocsPerRun(50, func() { rec.AppendTo(b) }))
		})
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	for i, rec := range samples() {
		t.Run(sampleName(i, rec), func(t *testing.T) {
			values := []any{rec}
			switch rec := rec.(type) {
			case *ConnectRequest:
				values = append(values, *rec)
			case *ConnectResponse:
				values = append(values, *rec)
			case *AuthPacket:
				values = append(values, *rec)
			case *GetSASLRequest:
				values = append(values, *rec)
			case *SetSASLResponse:
				values = append(values, *rec)
			}
			for _, v := range values {
				for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
					out := fmt.Sprintf(format, v)
					require.NotContains(t, out, canary, format)
					require.NotContains(t, out, "[104 117 110 116 101 114 50]", format)
					require.NotContains(t, out, fmt.Sprintf("%x", canary), format)
				}
			}
			b := rec.AppendTo(nil)
			for n := range b {
				if err := fresh(rec).ReadFrom(b[:n]); err != nil {
					require.NotContains(t, err.Error(), canary)
				}
			}
		})
	}
}

func TestNullVectors(t *testing.T) {
	null := jute.AppendInt32(nil, -1)

	var children GetChildrenResponse
	require.NoError(t, children.ReadFrom(null))
	require.Nil(t, children.Children)

	var who WhoAmIResponse
	who.ClientInfo = []ClientInfo{{"left", "over"}}
	require.NoError(t, who.ReadFrom(null))
	require.Nil(t, who.ClientInfo)

	acl := jute.AppendInt32(jute.AppendString(nil, "/a"), -1)
	var set SetACLRequest
	require.NoError(t, set.ReadFrom(jute.AppendInt32(acl, 7)))
	require.Nil(t, set.ACL)
	require.Equal(t, int32(7), set.Version)

	// A client must not send a null vector: servers answer it with an error.
	require.Equal(t, make([]byte, 8+3*4), (&SetWatches{}).AppendTo(nil))
	require.Equal(t, make([]byte, 4+4), (&SetACLRequest{}).AppendTo(nil)[4:])
}

func TestMultiOfForeignOps(t *testing.T) {
	for _, op := range []OpCode{OpExists, OpMulti, OpSync, OpCloseSession, OpError, 0, 999} {
		h := MultiHeader{Type: op}
		b := jute.AppendInt32(h.AppendTo(nil), 0)
		b = appendMultiEnd(jute.AppendInt32(b, 0))
		require.ErrorContains(t, new(MultiRequest).ReadFrom(b), op.String())
		if op != OpError {
			require.ErrorContains(t, new(MultiResponse).ReadFrom(b), op.String())
			require.ErrorContains(t, new(MultiReadResponse).ReadFrom(b), op.String())
		}
	}
}

// A result of unknown length cannot come with a Stat by accident.
func TestMultiResponseWithoutStatSendsAZeroOne(t *testing.T) {
	b := (&MultiResponse{Results: []MultiResult{{Op: OpSetData}, {Op: OpCreate2, Path: "/a"}}}).AppendTo(nil)
	var got MultiResponse
	require.NoError(t, got.ReadFrom(b))
	require.Equal(t, keeper.Stat{}, *got.Results[0].Stat)
	require.Equal(t, keeper.Stat{}, *got.Results[1].Stat)
}
