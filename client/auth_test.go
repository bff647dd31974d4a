package client

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// A credential that is added later is sent at once, waited for, and replayed in
// its order on every connection; the same one counts once.
func TestAuthIsReplayed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c, l, _ := connect(t)
		secret := []byte("u:p")
		added := run(func() error { return c.AddAuth(t.Context(), "digest", secret) })
		_, rec := l.want("credential", proto.OpAuth)
		secret[0] = 'x' // the caller's to reuse
		require.Equal(t, &proto.AuthPacket{Scheme: "digest", Auth: []byte("u:p")}, rec)
		synctest.Wait()
		require.Empty(t, added)
		l.reply(proto.XidAuth, keeper.OK, nil)
		require.NoError(t, <-added)
		require.NoError(t, c.AddAuth(t.Context(), "digest", []byte("u:p")), "known already")

		second := run(func() error { return c.AddAuth(t.Context(), "x", nil) })
		l.want("second", proto.OpAuth)
		l.close() // before the answer
		l = p.serve(sid, full)
		for _, scheme := range []string{"digest", "x"} {
			_, rec := l.want("replay", proto.OpAuth)
			require.Equal(t, scheme, rec.(*proto.AuthPacket).Scheme)
		}
		l.reply(proto.XidAuth, keeper.OK, nil)
		synctest.Wait()
		require.Empty(t, second)
		st, _ := c.State()
		require.Equal(t, Authenticating, st)
		l.reply(proto.XidAuth, keeper.OK, nil)
		require.NoError(t, <-second)
		require.NoError(t, c.WaitConnected(t.Context()))
	})
}

// Refused credentials are final: everybody is told, nobody tries again.
func TestAuthFailed(t *testing.T) {
	for _, early := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			p := newPeer(t)
			var c *Client
			var l *link
			var waiting, sent <-chan error
			if early {
				c = p.client(WithAuth("digest", []byte("u:p")))
				waiting = run(func() error { _, _, err := c.Get(t.Context(), "/a"); return err })
				l = p.serve(sid, full)
				l.want("auth", proto.OpAuth)
			} else {
				c = p.client()
				waiting = run(func() error { return c.AddAuth(t.Context(), "digest", []byte("u:p")) })
				sent = run(func() error { _, err := c.Create(t.Context(), "/a", nil, keeper.Persistent); return err })
				l = p.serve(sid, full)
				l.want("auth", proto.OpAuth)
				l.write(frame(&proto.ReplyHeader{Xid: proto.XidAuth}))
				require.NoError(t, <-waiting)
				l.want("create", proto.OpCreate2)
				waiting = run(func() error { return c.AddAuth(t.Context(), "digest", []byte("v:p")) })
				l.want("auth", proto.OpAuth)
			}
			l.reply(proto.XidAuth, keeper.ErrAuthFailed, nil)
			wantOutcome(t, <-waiting, keeper.ErrAuthFailed, keeper.NotApplied)
			if sent != nil {
				wantOutcome(t, <-sent, keeper.ErrAuthFailed, keeper.Unknown)
			}
			_, err := c.Session(t.Context())
			require.ErrorIs(t, err, keeper.ErrAuthFailed)
			require.ErrorIs(t, c.WaitConnected(t.Context()), keeper.ErrAuthFailed)
			require.ErrorIs(t, c.AddAuth(t.Context(), "digest", []byte("w:p")), keeper.ErrAuthFailed)
			st, _ := c.State()
			require.Equal(t, AuthFailed, st)
			pass(time.Hour)
			require.EqualValues(t, 1, p.dials.Load(), "no storm")
			require.NoError(t, c.Close())
			wantClosed(t, c, nil)
		})
	}
}

// A server that demands SASL says so in the answer to any request.
func TestSASLRequired(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, c, l, s := connect(t)
		done := run(func() error { return s.Do(t.Context(), &keeper.Get{Path: "/a"}) })
		l.want("get", proto.OpGetData)
		l.reply(1, keeper.ErrSASLRequired, nil)
		wantOutcome(t, <-done, keeper.ErrSASLRequired, keeper.NotApplied)
		<-s.Done()
		require.ErrorIs(t, s.Err(), keeper.ErrAuthFailed)
		require.ErrorIs(t, c.WaitConnected(t.Context()), keeper.ErrAuthFailed)
	})
}

func TestAddAuthCancelled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPeer(t)
		c := p.client()
		ctx, cancel := context.WithCancel(t.Context())
		added := run(func() error { return c.AddAuth(ctx, "digest", []byte("u:p")) })
		synctest.Wait()
		cancel()
		wantOutcome(t, <-added, context.Canceled, keeper.Unknown)
		wantOutcome(t, c.AddAuth(ctx, "digest", nil), context.Canceled, keeper.NotApplied)
		require.ErrorIs(t, c.AddAuth(nil, "digest", nil), keeper.ErrInvalid) //nolint:staticcheck // that is the point
		require.ErrorIs(t, c.AddAuth(t.Context(), "", nil), keeper.ErrInvalid)
		l := p.serve(sid, full)
		l.want("it cannot be taken back", proto.OpAuth)
	})
}

// A digest is a password in clear, unless the connection is encrypted or stays
// on the machine.
func TestClearTextIsWarnedOf(t *testing.T) {
	for _, c := range []struct {
		remote string
		scheme string
		warn   bool
	}{{"192.0.2.1:2181", "digest", true}, {"192.0.2.1:2181", "other", false}, {"127.0.0.1:2181", "digest", false}, {"pipe", "digest", false}} {
		bubble(t, func(t *testing.T) {
			var out bytes.Buffer
			p := newPeer(t)
			cl, err := New("a", WithAuth(c.scheme, []byte("u:p")), WithLogger(slog.New(slog.NewTextHandler(&out, nil))),
				WithDialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
					nc, err := p.dial(ctx, network, addr)
					return &remoteConn{nc, c.remote}, err
				}))
			require.NoError(t, err)
			require.NoError(t, cl.Start())
			l := p.serve(sid, full)
			l.want("auth", proto.OpAuth)
			l.reply(proto.XidAuth, keeper.OK, nil)
			require.NoError(t, cl.WaitConnected(t.Context()))
			_ = cl.Close()
			require.Equal(t, c.warn, strings.Contains(out.String(), "sent in clear"), "%+v", c)
		})
	}
}

// remoteConn is a connection that seems to come from elsewhere.
type remoteConn struct {
	net.Conn
	remote string
}

func (c *remoteConn) RemoteAddr() net.Addr { return remoteAddr(c.remote) }

type remoteAddr string

func (remoteAddr) Network() string  { return "tcp" }
func (a remoteAddr) String() string { return string(a) }

// No secret in logs, errors or whatever prints a client.
func TestSecretsStaySecret(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const canary, passwd = "canary-secret", "session-password"
		var out, logged bytes.Buffer // the loop writes to the latter
		log := slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
		p := newPeer(t)
		opt := WithAuth("digest", []byte("u:"+canary))
		c := p.client(opt, WithLogger(log))
		l := p.accept()
		l.hello()
		l.write(frame(&proto.ConnectResponse{SessionID: sid, TimeOut: 10_000, Passwd: []byte(passwd), HasReadOnly: true}))
		l.want("auth", proto.OpAuth)
		l.reply(proto.XidAuth, keeper.OK, nil)
		s, err := c.session(t.Context())
		require.NoError(t, err)
		for _, v := range []any{c, s, opt, c.cfg, keeper.Session(s), keeper.Conn(c), []any{c, s}, struct{ C *Client }{c}} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
				fmt.Fprintf(&out, verb+"\n", v)
			}
		}
		l.close()
		l = p.serve(sid, full)
		l.want("auth", proto.OpAuth)
		l.reply(proto.XidAuth, keeper.ErrAuthFailed, nil)
		fmt.Fprintf(&out, "%+v %#v", c.WaitConnected(t.Context()), c.WaitConnected(t.Context()))
		require.NoError(t, c.Close())
		out.Write(logged.Bytes())
		for _, secret := range []string{canary, passwd} {
			require.NotContains(t, out.String(), secret)
			require.NotContains(t, out.String(), fmt.Sprintf("%x", secret))
			require.NotContains(t, out.String(), fmt.Sprintf("%d", []byte(secret)))
		}
		require.Contains(t, out.String(), "refused the credentials of scheme digest")
	})
}
