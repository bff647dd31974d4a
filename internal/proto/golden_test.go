package proto

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/keeper"
)

// Frames as a real ZooKeeper 3.8.0 and its client exchanged them.
const (
	goldConnect          = "0000002d00000000000000000000000000001f400000000000000000000000100000000000000000000000000000000000"
	goldConnected        = "000000250000000000001f400100005f3e070002000000108523dc201c868d7a176ecb605e012b4800"
	goldExpired          = "0000002500000000000000000000000000000000000000100000000000000000000000000000000000"
	goldPing             = "00000008fffffffe0000000b"
	goldPong             = "00000010fffffffe000000000000000700000000"
	goldAuth             = "0000001dfffffffc00000064000000000000000664696765737400000003753a70"
	goldAuthReply        = "00000010fffffffc000000000000000000000000"
	goldCreate2          = "00000032000000010000000f000000022f610000000178000000010000001f00000005776f726c6400000006616e796f6e6500000003"
	goldCreate2Reply     = "00000064000000010000000000000008000000000000000c2f613030303030303030303000000000000000080000000000000008000001a2038fe241000001a2038fe2410000000000000000000000000100005f3e07000200000001000000000000000000000008"
	goldCreateReply      = "0000001600000002000000000000000900000000000000022f62"
	goldNodeExists       = "0000001000000003000000000000000affffff92"
	goldGetData          = "0000000f0000000500000004000000022f6201"
	goldGetDataReply     = "0000005800000005000000000000000a000000000000000000000000000000090000000000000009000001a2038fe24e000001a2038fe24e000000000000000000000000000000000000000000000000000000000000000000000009"
	goldNotification     = "0000001effffffffffffffffffffffff000000000000000300000003000000022f62"
	goldAddWatch         = "000000120000000b0000006a000000022f6200000001"
	goldAddWatchReply    = "000000140000000b000000000000000b0000000000000000"
	goldRemoveWatches    = "000000120000000c00000012000000022f6200000003"
	goldRemoveReply      = "000000100000000c000000000000000b00000000"
	goldMulti            = "000000a20000000d0000000e0000000d00ffffffff000000022f62000000010000000f00ffffffff000000042f622f63000000017a000000010000001f00000005776f726c6400000006616e796f6e65000000000000001300ffffffff000000042f622f74ffffffff000000010000001f00000005776f726c6400000006616e796f6e65000000040000000200ffffffff000000042f622f74ffffffffffffffff01ffffffff"
	goldMultiReply       = "000000910000000d000000000000000c000000000000000d0000000000000000010000000000000000042f622f630000000f0000000000000000042f622f74000000000000000c000000000000000c000001a2038fe270000001a2038fe27000000000000000000000000000000000000000000000000000000000000000000000000c000000020000000000ffffffff01ffffffff"
	goldMultiFailed      = "000000400000000e000000000000000d00000000ffffffff000000000000000000ffffffff00ffffff9bffffff9bffffffff00fffffffefffffffeffffffff01ffffffff"
	goldMultiEmptyReply  = "000000190000000f000000000000000e00000000ffffffff01ffffffff"
	goldMultiRead        = "0000008b00000010000000000000000e000000000000000400000000000000000279790000000000000009000000000000000b000001a2038fe24e000001a2038fe26200000001000000030000000000000000000000000000000200000001000000000000000c000000080000000000000000010000000163ffffffff00ffffff9bffffff9bffffffff01ffffffff"
	goldWhoAmI           = "0000003600000012000000000000000e0000000000000002000000026970000000093132372e302e302e31000000066469676573740000000175"
	goldEphemerals       = "0000002400000013000000000000000e00000000000000010000000c2f6130303030303030303030"
	goldSetWatches2      = "00000030fffffff800000069000000000000000700000001000000022f62000000000000000000000001000000022f7000000000"
	goldSetWatches2Reply = "00000010fffffff8000000000000000e00000000"
	goldUnknownOp        = "0000001000000015fffffffffffffffffffffffa"
	goldClose            = "0000000800000001fffffff5"
	goldCloseReply       = "0000001000000001000000000000001000000000"
	goldReadOnlyRefusal  = "00000010000000000000000200000008ffffff89"
)

const goldSession = 0x100005f3e070002

func goldStat(zxid, ms int64) keeper.Stat {
	return keeper.Stat{Czxid: zxid, Mzxid: zxid, Ctime: ms, Mtime: ms, Pzxid: zxid}
}

func TestGoldenFrames(t *testing.T) {
	open := keeper.OpenACL()
	sequential := goldStat(8, 0x1a2038fe241)
	sequential.EphemeralOwner, sequential.DataLength = goldSession, 1
	container := goldStat(12, 0x1a2038fe270)
	changed := keeper.Stat{
		Czxid: 9, Mzxid: 11, Ctime: 0x1a2038fe24e, Mtime: 0x1a2038fe262,
		Version: 1, Cversion: 3, DataLength: 2, NumChildren: 1, Pzxid: 12,
	}
	request := func(xid int32, op OpCode) Record { return &RequestHeader{Xid: xid, Op: op} }
	reply := func(xid int32, zxid int64, code keeper.Code) Record {
		return &ReplyHeader{Xid: xid, Zxid: zxid, Err: code}
	}
	for _, c := range []struct {
		name string
		hex  string
		recs []Record
	}{
		{"connect", goldConnect, []Record{
			&ConnectRequest{TimeOut: 8000, Passwd: make([]byte, 16), HasReadOnly: true}}},
		{"connected", goldConnected, []Record{
			&ConnectResponse{TimeOut: 8000, SessionID: goldSession, HasReadOnly: true,
				Passwd: unhex(t, "8523dc201c868d7a176ecb605e012b48")}}},
		{"expired", goldExpired, []Record{&ConnectResponse{Passwd: make([]byte, 16), HasReadOnly: true}}},
		{"ping", goldPing, []Record{request(XidPing, OpPing)}},
		{"pong", goldPong, []Record{reply(XidPing, 7, keeper.OK)}},
		{"auth", goldAuth, []Record{request(XidAuth, OpAuth), &AuthPacket{Scheme: "digest", Auth: []byte("u:p")}}},
		{"auth reply", goldAuthReply, []Record{reply(XidAuth, 0, keeper.OK)}},
		{"create2", goldCreate2, []Record{request(1, OpCreate2),
			&CreateRequest{Path: "/a", Data: []byte("x"), ACL: open, Flags: int32(keeper.EphemeralSequential)}}},
		{"create2 reply", goldCreate2Reply, []Record{reply(1, 8, keeper.OK),
			&Create2Response{Path: "/a0000000000", Stat: sequential}}},
		{"create reply", goldCreateReply, []Record{reply(2, 9, keeper.OK), &CreateResponse{Path: "/b"}}},
		{"node exists", goldNodeExists, []Record{reply(3, 10, keeper.ErrNodeExists)}},
		{"getData", goldGetData, []Record{request(5, OpGetData), &GetDataRequest{Path: "/b", Watch: true}}},
		{"getData reply", goldGetDataReply, []Record{reply(5, 10, keeper.OK),
			&GetDataResponse{Data: []byte{}, Stat: goldStat(9, 0x1a2038fe24e)}}},
		{"notification", goldNotification, []Record{reply(XidNotification, -1, keeper.OK),
			&WatcherEvent{Type: int32(keeper.EventDataChanged), State: 3, Path: "/b"}}},
		{"addWatch", goldAddWatch, []Record{request(11, OpAddWatch), &AddWatchRequest{Path: "/b", Mode: WatchRecursive}}},
		{"addWatch reply", goldAddWatchReply, []Record{reply(11, 11, keeper.OK), &ErrorResponse{}}},
		{"removeWatches", goldRemoveWatches, []Record{request(12, OpRemoveWatches),
			&RemoveWatchesRequest{Path: "/b", Type: WatcherAny}}},
		{"removeWatches reply", goldRemoveReply, []Record{reply(12, 11, keeper.OK)}},
		{"multi", goldMulti, []Record{request(13, OpMulti), &MultiRequest{Ops: []MultiOp{
			{OpCheck, &CheckVersionRequest{Path: "/b", Version: 1}},
			{OpCreate2, &CreateRequest{Path: "/b/c", Data: []byte("z"), ACL: open}},
			{OpCreateContainer, &CreateRequest{Path: "/b/t", ACL: open, Flags: int32(keeper.Container)}},
			{OpDelete, &DeleteRequest{Path: "/b/t", Version: -1}},
		}}}},
		{"multi reply", goldMultiReply, []Record{reply(13, 12, keeper.OK), &MultiResponse{Results: []MultiResult{
			{Op: OpCheck},
			{Op: OpCreate, Path: "/b/c"},
			{Op: OpCreate2, Path: "/b/t", Stat: &container},
			{Op: OpDelete},
		}}}},
		{"multi failed", goldMultiFailed, []Record{reply(14, 13, keeper.OK), &MultiResponse{Results: []MultiResult{
			{Op: OpError},
			{Op: OpError, Err: keeper.ErrNoNode},
			{Op: OpError, Err: keeper.ErrRuntimeInconsistency},
		}}}},
		{"multi empty reply", goldMultiEmptyReply, []Record{reply(15, 14, keeper.OK), &MultiResponse{}}},
		{"multiRead reply", goldMultiRead, []Record{reply(16, 14, keeper.OK), &MultiReadResponse{Results: []MultiReadResult{
			{Op: OpGetData, Body: &GetDataResponse{Data: []byte("yy"), Stat: changed}},
			{Op: OpGetChildren, Body: &GetChildrenResponse{Children: []string{"c"}}},
			{Op: OpError, Err: keeper.ErrNoNode},
		}}}},
		{"whoAmI reply", goldWhoAmI, []Record{reply(18, 14, keeper.OK),
			&WhoAmIResponse{ClientInfo: []ClientInfo{{"ip", "127.0.0.1"}, {"digest", "u"}}}}},
		{"getEphemerals reply", goldEphemerals, []Record{reply(19, 14, keeper.OK),
			&GetEphemeralsResponse{Ephemerals: []string{"/a0000000000"}}}},
		{"setWatches2", goldSetWatches2, []Record{request(XidSetWatches, OpSetWatches2), &SetWatches2{
			RelativeZxid: 7, DataWatches: []string{"/b"}, ExistWatches: []string{}, ChildWatches: []string{},
			PersistentWatches: []string{"/p"}, PersistentRecursiveWatches: []string{},
		}}},
		{"setWatches2 reply", goldSetWatches2Reply, []Record{reply(XidSetWatches, 14, keeper.OK)}},
		{"unknown opcode", goldUnknownOp, []Record{reply(21, -1, keeper.ErrUnimplemented)}},
		{"closeSession", goldClose, []Record{request(1, OpCloseSession)}},
		{"closeSession reply", goldCloseReply, []Record{reply(1, 16, keeper.OK)}},
		{"read-only refusal", goldReadOnlyRefusal, []Record{reply(0, 2<<32|8, keeper.ErrNotReadOnly)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.hex, hex.EncodeToString(frame(c.recs...)))

			body := unhex(t, c.hex)[4:]
			for _, want := range c.recs {
				got := fresh(want)
				require.NoError(t, got.ReadFrom(body))
				require.Equal(t, want, got)
				switch want.(type) {
				case *RequestHeader:
					body = body[RequestHeaderSize:]
				case *ReplyHeader:
					body = body[ReplyHeaderSize:]
				}
			}
		})
	}
}

// A read-only server refuses a new session with a bare reply header: it must not
// pass for a session.
func TestReadOnlyRefusalIsNoConnectResponse(t *testing.T) {
	var res ConnectResponse
	require.Error(t, res.ReadFrom(unhex(t, goldReadOnlyRefusal)[4:]))
}

// The server decodes what golden clients send by the opcode in the header.
func TestDecodeRequestOfGoldenFrames(t *testing.T) {
	for frame, want := range map[string]Record{
		goldCreate2:       &CreateRequest{},
		goldGetData:       &GetDataRequest{},
		goldAddWatch:      &AddWatchRequest{},
		goldRemoveWatches: &RemoveWatchesRequest{},
		goldMulti:         &MultiRequest{},
		goldSetWatches2:   &SetWatches2{},
		goldAuth:          &AuthPacket{},
		goldPing:          nil,
		goldClose:         nil,
	} {
		body := unhex(t, frame)[4:]
		var h RequestHeader
		require.NoError(t, h.ReadFrom(body))
		got, err := DecodeRequest(h.Op, body[RequestHeaderSize:])
		require.NoError(t, err)
		if want == nil {
			require.Nil(t, got)
			continue
		}
		require.IsType(t, want, got)
		require.Equal(t, body[RequestHeaderSize:], got.AppendTo(nil))
	}
}
