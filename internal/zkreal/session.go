package zkreal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"
)

// This file speaks just enough of the protocol to open, take over and close a
// session. It leaves internal/proto alone on purpose: the server that decides
// whether our codec is right is not started with that codec.

// errGone: the server does not know the session, or no longer.
var errGone = errors.New("session is gone")

// Expire ends a session, whoever it belongs to, and returns when the server no
// longer knows it and its ephemeral nodes are gone. To its client that is an expiry: the connection is closed
// without a word, and the reconnect is told that the session is gone.
//
// A server written in Java derives a session's password from its id, so anybody
// who knows the id can take the session over and close it.
func (s *Server) Expire(t testing.TB, session int64) {
	t.Helper()
	const limit = 30 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		// The client, alive, may take its session back before it is closed.
		err := takeOverAndClose(ctx, s.Addr(), session)
		// The same answer is given for a session that is about to go, and for a
		// password that was not derived as this server does it.
		if errors.Is(err, errGone) && !strings.Contains(s.Ask(t, "dump"), fmt.Sprintf("\t%#x\n", session)) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("session %#x does not end: %v", session, err)
		case <-ticker.C:
		}
	}
}

// openAndClose opens a session of our own and closes it.
func openAndClose(ctx context.Context, addr string) error {
	return takeOverAndClose(ctx, addr, 0)
}

// takeOverAndClose attaches to a session, 0 for a new one, and closes it.
func takeOverAndClose(ctx context.Context, addr string, session int64) error {
	conn, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := attach(conn, session); err != nil {
		return err
	}
	const closeXid, opClose = 1, -11
	request := binary.BigEndian.AppendUint32(nil, 8)
	request = appendInt32(appendInt32(request, closeXid), opClose)
	if _, err := conn.Write(request); err != nil {
		return fmt.Errorf("close session %#x: %w", session, err)
	}
	for {
		reply, err := readFrame(conn)
		if err != nil {
			return fmt.Errorf("close session %#x: %w", session, err)
		}
		if int32(binary.BigEndian.Uint32(reply)) == closeXid { // others are notifications
			return nil
		}
	}
}

// attach does the handshake for a session, 0 for a new one, and returns its id.
// The server clamps the timeout asked for, one millisecond, to the shortest it
// allows.
func attach(conn net.Conn, session int64) (int64, error) {
	body := appendInt32(nil, 0)                   // protocol version
	body = binary.BigEndian.AppendUint64(body, 0) // last zxid seen
	body = appendInt32(body, 1)                   // timeout
	body = binary.BigEndian.AppendUint64(body, uint64(session))
	pass := password(session)
	body = appendInt32(body, int32(len(pass)))
	body = append(append(body, pass[:]...), 0) // and: not read-only
	frame := append(appendInt32(nil, int32(len(body))), body...)
	if _, err := conn.Write(frame); err != nil {
		return 0, fmt.Errorf("handshake: %w", err)
	}
	reply, err := readFrame(conn)
	if err != nil {
		return 0, fmt.Errorf("handshake: %w", err)
	}
	const idAt, idEnd = 8, 16
	if len(reply) < idEnd {
		return 0, fmt.Errorf("handshake: reply of %d bytes", len(reply))
	}
	id := int64(binary.BigEndian.Uint64(reply[idAt:idEnd]))
	switch {
	case id == 0:
		return 0, errGone
	case session != 0 && id != session:
		return 0, fmt.Errorf("handshake: asked for session %#x, got %#x", session, id)
	}
	return id, nil
}

// readFrame reads one frame of at least a reply header's first field.
func readFrame(conn net.Conn) ([]byte, error) {
	const least, most = 4, 1 << 20
	var size [4]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n < least || n > most {
		return nil, fmt.Errorf("frame of %d bytes", n)
	}
	body := make([]byte, n)
	_, err := io.ReadFull(conn, body)
	return body, err
}

func appendInt32(b []byte, v int32) []byte {
	return binary.BigEndian.AppendUint32(b, uint32(v))
}

// password derives a session's password from its id, as the server does:
// sixteen bytes of java.util.Random seeded with id ^ 0xB3415C00.
func password(session int64) [16]byte {
	const secret, multiplier, addend, mask = 0xB3415C00, 0x5DEECE66D, 0xB, 1<<48 - 1
	seed := (uint64(session) ^ secret ^ multiplier) & mask
	var p [16]byte
	for i := 0; i < len(p); i += 4 {
		seed = (seed*multiplier + addend) & mask
		binary.LittleEndian.PutUint32(p[i:], uint32(seed>>16))
	}
	return p
}

// randomInt is any number in [0, n): different in every process.
func randomInt(n int) int { return rand.IntN(n) } //nolint:gosec // no secret
