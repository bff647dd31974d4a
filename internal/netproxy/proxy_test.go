package netproxy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/proto"
)

const patience = 30 * time.Second

// echo is a server that sends back what it gets, until the test ends.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		work.Wait()
	})
	return l.Addr().String()
}

// dial connects through the proxy; the connection ends before the proxy does.
func dial(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp4", p.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	return conn
}

func send(t *testing.T, conn net.Conn, b []byte) {
	t.Helper()
	_, err := conn.Write(b)
	require.NoError(t, err)
}

func closeWrite(t *testing.T, conn net.Conn) {
	t.Helper()
	tcp, ok := conn.(*net.TCPConn)
	require.True(t, ok)
	require.NoError(t, tcp.CloseWrite())
}

func wantBytes(t *testing.T, conn net.Conn, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	_, err := io.ReadFull(conn, got)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// wantEnd reads to the end of the connection and requires that nothing is left.
func wantEnd(t *testing.T, conn net.Conn) {
	t.Helper()
	rest, err := io.ReadAll(conn)
	require.False(t, isTimeout(err), "the connection is still open")
	require.Empty(t, rest)
}

// wantRefusal dials and requires a reset, which may come before the dial is done
// or after.
func wantRefusal(t *testing.T, p *Proxy) {
	t.Helper()
	conn, err := net.Dial("tcp4", p.Addr())
	if err != nil {
		return
	}
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	wantEnd(t, conn)
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// wantSilence requires that nothing comes, for long enough that what is not
// held would have come.
func wantSilence(t *testing.T, conn net.Conn) {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	n, err := conn.Read(make([]byte, 1))
	require.True(t, isTimeout(err), "got %d bytes, %v", n, err)
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
}

// frame is a request of a kind, and at the same time the reply to it: the server
// is an echo.
func frame(xid int32, op proto.OpCode, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	b = binary.BigEndian.AppendUint32(b, uint32(xid))
	return append(binary.BigEndian.AppendUint32(b, uint32(op)), body...)
}

func TestForwardsBothWaysAndTheEnd(t *testing.T) {
	p := Start(t, echo(t))
	conn := dial(t, p)
	send(t, conn, []byte("there and back"))
	wantBytes(t, conn, []byte("there and back"))
	send(t, conn, []byte("last words"))
	closeWrite(t, conn)
	wantBytes(t, conn, []byte("last words"))
	wantEnd(t, conn)
	require.Equal(t, 1, p.Accepted())
}

func TestATargetThatRefusesResets(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	wantRefusal(t, Start(t, l.Addr().String()))
}

func TestCutEndsWhatIsAndSparesWhatComes(t *testing.T) {
	p := Start(t, echo(t))
	a, b := dial(t, p), dial(t, p)
	send(t, a, []byte("a"))
	wantBytes(t, a, []byte("a"))
	send(t, b, []byte("b"))
	wantBytes(t, b, []byte("b"))
	require.Equal(t, 2, p.Cut())
	wantEnd(t, a)
	wantEnd(t, b)
	c := dial(t, p)
	send(t, c, []byte("c"))
	wantBytes(t, c, []byte("c"))
}

func TestRefuseResetsNewConnectionsOnly(t *testing.T) {
	p := Start(t, echo(t))
	old := dial(t, p)
	send(t, old, []byte("1"))
	wantBytes(t, old, []byte("1"))
	p.Refuse(true)
	wantRefusal(t, p)
	send(t, old, []byte("2"))
	wantBytes(t, old, []byte("2"))
	p.Refuse(false)
	again := dial(t, p)
	send(t, again, []byte("3"))
	wantBytes(t, again, []byte("3"))
}

func TestHoldKeepsAndResumeDelivers(t *testing.T) {
	for _, d := range []Direction{ToServer, ToClient, BothWays} {
		t.Run(fmt.Sprint(d), func(t *testing.T) {
			p := Start(t, echo(t))
			conn := dial(t, p)
			send(t, conn, []byte("before"))
			wantBytes(t, conn, []byte("before"))
			p.Hold(d)
			send(t, conn, []byte("held"))
			wantSilence(t, conn)
			late := dial(t, p)
			send(t, late, []byte("held too"))
			wantSilence(t, late)
			p.Resume()
			wantBytes(t, conn, []byte("held"))
			wantBytes(t, late, []byte("held too"))
		})
	}
}

func TestHoldKeepsTheEndToo(t *testing.T) {
	p := Start(t, echo(t))
	conn := dial(t, p)
	p.Hold(ToClient)
	closeWrite(t, conn)
	wantSilence(t, conn)
	p.Resume()
	wantEnd(t, conn)
}

func TestCutWhileHeld(t *testing.T) {
	p := Start(t, echo(t))
	conn := dial(t, p)
	p.Hold(BothWays)
	send(t, conn, []byte("lost"))
	wantSilence(t, conn)
	p.Cut()
	wantEnd(t, conn)
}

func TestLoseRepliesSwallowsAndCountsRepliesOnly(t *testing.T) {
	const handshake, ping, notification, auth = 0, -2, -1, -4
	p := Start(t, echo(t))
	conn := dial(t, p)
	for _, f := range [][]byte{frame(handshake, 0, "session"), frame(1, proto.OpGetData, "one")} {
		send(t, conn, f)
		wantBytes(t, conn, f)
	}

	lost := p.LoseReplies(2)
	for _, uncounted := range []int32{ping, notification, auth, handshake} {
		send(t, conn, frame(uncounted, proto.OpGetData, "x"))
	}
	two := frame(2, proto.OpGetData, "two")
	send(t, conn, two[:3]) // in pieces: a boundary of reads is none of frames
	send(t, conn, two[3:9])
	send(t, conn, two[9:])
	wantSilence(t, conn)
	select {
	case <-lost:
		require.Fail(t, "cut after one reply")
	default:
	}
	send(t, conn, frame(3, proto.OpDelete, "three"))
	<-lost
	wantEnd(t, conn)

	again, four := dial(t, p), frame(4, proto.OpGetData, "four")
	send(t, again, four)
	wantBytes(t, again, four)
}

func TestLoseRepliesToOneKindOfRequest(t *testing.T) {
	p := Start(t, echo(t))
	conn := dial(t, p)
	lost := p.LoseReplies(1, proto.OpCreate, proto.OpCreate2)
	send(t, conn, frame(1, proto.OpSync, "a client's own business"))
	send(t, conn, frame(2, proto.OpDelete, "x"))
	wantSilence(t, conn)
	select {
	case <-lost:
		require.Fail(t, "cut after the reply to another request")
	default:
	}
	send(t, conn, frame(3, proto.OpCreate2, "y"))
	<-lost
	wantEnd(t, conn)
}

func TestCutAfterStopsInTheMiddle(t *testing.T) {
	p := Start(t, echo(t))
	conn := dial(t, p)
	done := p.CutAfter(10)
	send(t, conn, []byte("123456"))
	wantBytes(t, conn, []byte("123456"))
	send(t, conn, []byte("7890abc"))
	<-done
	wantBytes(t, conn, []byte("7890"))
	wantEnd(t, conn)
}

func TestPlainTextPasses(t *testing.T) {
	p := Start(t, echo(t))
	conn := dial(t, p)
	text := []byte("Zookeeper version: 3.8.0\nMode: standalone\n")
	send(t, conn, text)
	wantBytes(t, conn, text)
}

// However the bytes of a stream are cut up, the same frames are seen.
func TestFramesDoNotDependOnReads(t *testing.T) {
	var stream []byte
	var want []int32
	for xid := int32(-4); xid <= 4; xid++ {
		stream = append(stream, frame(xid, proto.OpSync, "body of some length"[:4+xid])...)
		want = append(want, xid)
	}
	for _, head := range []int{8, 12} {
		for size := 1; size <= len(stream); size++ {
			f := frames{head: make([]byte, head)}
			var seen []int32
			for rest := stream; len(rest) > 0; rest = rest[min(size, len(rest)):] {
				f.advance(rest[:min(size, len(rest))], func(head []byte) { seen = append(seen, number(head)) })
			}
			require.Equal(t, want, seen, "in pieces of %d", size)
		}
	}
}
