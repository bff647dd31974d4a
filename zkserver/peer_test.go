package zkserver_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// peer is a client that speaks frames: it sends what a test says, however
// wrong, and keeps what comes back in its order.
type peer struct {
	t      *testing.T
	nc     net.Conn
	frames *proto.FrameReader
	xid    int32

	session int64
	passwd  []byte
	timeout int32

	events []event // notifications that have come and were not taken yet
}

type event struct {
	typ  keeper.EventType
	path string
	zxid int64
}

func (e event) String() string { return fmt.Sprintf("%v %s", e.typ, e.path) }

// patience bounds every wait of a test that goes wrong.
const patience = 2 * time.Minute

func newPeer(t *testing.T, nc net.Conn) *peer {
	t.Helper()
	t.Cleanup(func() { _ = nc.Close() })
	require.NoError(t, nc.SetDeadline(time.Now().Add(patience)))
	return &peer{t: t, nc: nc, frames: proto.NewFrameReader(nc, 64<<20)}
}

// write sends raw bytes.
func (p *peer) write(b []byte) {
	p.t.Helper()
	_, err := p.nc.Write(b)
	require.NoError(p.t, err)
}

func frame(parts ...proto.Record) []byte {
	b, mark := proto.BeginFrame(nil)
	for _, part := range parts {
		if part != nil {
			b = part.AppendTo(b)
		}
	}
	return proto.EndFrame(b, mark)
}

// handshake asks for a session and takes the answer, or the error of a server
// that closes instead.
func (p *peer) handshake(req proto.ConnectRequest) (proto.ConnectResponse, error) {
	p.t.Helper()
	if req.Passwd == nil {
		req.Passwd = make([]byte, 16)
	}
	p.write(frame(&req))
	var resp proto.ConnectResponse
	b, err := p.frames.Next()
	if err != nil {
		return resp, err
	}
	require.NoError(p.t, resp.ReadFrom(b))
	p.session, p.passwd, p.timeout = resp.SessionID, resp.Passwd, resp.TimeOut
	return resp, nil
}

// open gets a new session of the given timeout.
func (p *peer) open(timeout time.Duration) *peer {
	p.t.Helper()
	resp, err := p.handshake(proto.ConnectRequest{TimeOut: int32(timeout.Milliseconds()), HasReadOnly: true})
	require.NoError(p.t, err)
	require.NotZero(p.t, resp.SessionID)
	return p
}

// request is one frame with the next xid.
func (p *peer) request(op proto.OpCode, rec proto.Record) []byte {
	p.xid++
	return frame(&proto.RequestHeader{Xid: p.xid, Op: op}, rec)
}

func (p *peer) send(op proto.OpCode, rec proto.Record) {
	p.t.Helper()
	p.write(p.request(op, rec))
}

// reply is the next frame that is no notification.
type reply struct {
	proto.ReplyHeader
	body []byte
}

func (p *peer) recv() reply {
	p.t.Helper()
	r, err := p.next()
	require.NoError(p.t, err)
	return r
}

func (p *peer) next() (reply, error) {
	for {
		b, err := p.frames.Next()
		if err != nil {
			return reply{}, err
		}
		var r reply
		require.NoError(p.t, r.ReadFrom(b))
		r.body = slices.Clone(b[proto.ReplyHeaderSize:])
		if r.Xid != proto.XidNotification {
			return r, nil
		}
		var ev proto.WatcherEvent
		require.NoError(p.t, ev.ReadFrom(r.body))
		require.EqualValues(p.t, 3, ev.State)
		p.events = append(p.events, event{keeper.EventType(ev.Type), ev.Path, r.Zxid})
	}
}

// do sends a request and takes its reply; resp, if there is one, gets the body.
func (p *peer) do(op proto.OpCode, rec, resp proto.Record) reply {
	p.t.Helper()
	p.send(op, rec)
	r := p.recv()
	if r.Err == keeper.OK && resp != nil {
		require.NoError(p.t, resp.ReadFrom(r.body))
	}
	return r
}

// settle brings in all notifications that the server has sent, and returns
// those not taken yet.
func (p *peer) settle() []event {
	p.t.Helper()
	p.write(frame(&proto.RequestHeader{Xid: proto.XidPing, Op: proto.OpPing}))
	r := p.recv()
	require.Equal(p.t, proto.XidPing, r.Xid)
	return p.take()
}

func (p *peer) take() []event {
	events := p.events
	p.events = nil
	return events
}

// ended requires that the server has closed the connection without a further
// reply.
func (p *peer) ended() {
	p.t.Helper()
	r, err := p.next()
	require.Error(p.t, err, "got a reply: %+v", r)
	var timeout net.Error
	require.False(p.t, errors.As(err, &timeout) && timeout.Timeout(), "the connection is still open")
}

// Shorthands for the common requests.

func (p *peer) create(path string, mode keeper.Mode) (string, keeper.Stat, keeper.Code) {
	p.t.Helper()
	var resp proto.Create2Response
	r := p.do(proto.OpCreate2, &proto.CreateRequest{Path: path, Data: []byte("x"), ACL: keeper.OpenACL(), Flags: int32(mode)}, &resp)
	return resp.Path, resp.Stat, r.Err
}

func (p *peer) mustCreate(path string, mode keeper.Mode) string {
	p.t.Helper()
	created, _, code := p.create(path, mode)
	require.Equal(p.t, keeper.OK, code, path)
	return created
}

func (p *peer) delete(path string) keeper.Code {
	p.t.Helper()
	return p.do(proto.OpDelete, &proto.DeleteRequest{Path: path, Version: -1}, nil).Err
}

func (p *peer) set(path string, version int32) (keeper.Stat, keeper.Code) {
	p.t.Helper()
	var resp proto.SetDataResponse
	r := p.do(proto.OpSetData, &proto.SetDataRequest{Path: path, Data: []byte("y"), Version: version}, &resp)
	return resp.Stat, r.Err
}

func (p *peer) get(path string, watch bool) ([]byte, keeper.Code) {
	p.t.Helper()
	var resp proto.GetDataResponse
	r := p.do(proto.OpGetData, &proto.GetDataRequest{Path: path, Watch: watch}, &resp)
	return resp.Data, r.Err
}

func (p *peer) stat(path string, watch bool) (keeper.Stat, keeper.Code) {
	p.t.Helper()
	var resp proto.ExistsResponse
	r := p.do(proto.OpExists, &proto.ExistsRequest{Path: path, Watch: watch}, &resp)
	return resp.Stat, r.Err
}

func (p *peer) children(path string, watch bool) ([]string, keeper.Code) {
	p.t.Helper()
	var resp proto.GetChildren2Response
	r := p.do(proto.OpGetChildren2, &proto.GetChildrenRequest{Path: path, Watch: watch}, &resp)
	slices.Sort(resp.Children)
	return resp.Children, r.Err
}

// close ends the session.
func (p *peer) close() {
	p.t.Helper()
	require.Equal(p.t, keeper.OK, p.do(proto.OpCloseSession, nil, nil).Err)
	_, err := p.next()
	require.ErrorIs(p.t, err, io.EOF)
}
