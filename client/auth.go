package client

import (
	"context"
	"net"
	"slices"
	"sync"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// credential is one identity. It is always held by pointer and has no exported
// parts, so that printing what holds it does not print it.
type credential struct {
	scheme   string
	auth     []byte
	once     sync.Once
	accepted chan struct{} // closed when a server has taken it, once
}

func newCredential(scheme string, auth []byte) (*credential, error) {
	if scheme == "" {
		return nil, &keeper.InvalidError{What: "auth scheme", Why: "is empty"}
	}
	if len(scheme)+len(auth) > DefaultMaxRequest/2 {
		return nil, &keeper.InvalidError{What: "credentials", Value: scheme, Why: "are too long"}
	}
	return &credential{scheme: scheme, auth: slices.Clone(auth), accepted: make(chan struct{})}, nil
}

// String leaves the secret out.
func (c *credential) String() string { return c.scheme + ":***" }

// GoString is String: %#v must not show the secret either.
func (c *credential) GoString() string { return c.String() }

// credentials is what is replayed on every connection, in this order. It only
// grows.
type credentials struct {
	mu   sync.Mutex
	list []*credential // guarded by mu
}

// add returns the credential to wait for: an equal one counts as the same.
func (c *credentials) add(cred *credential) *credential {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, have := range c.list {
		if have.scheme == cred.scheme && slices.Equal(have.auth, cred.auth) {
			return have
		}
	}
	c.list = append(c.list, cred)
	return cred
}

// from returns the credentials from the n-th on.
func (c *credentials) from(n int) []*credential {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.list[n:])
}

// AddAuth adds an identity to the session's and all that follow: it is sent on
// each connection before anything else, and cannot be taken back, not even by a
// ctx that ends early. AddAuth waits for a server to accept it. One that is
// refused ends the Client with keeper.ErrAuthFailed; servers accept any password
// of scheme "digest", whose auth is "user:password", and simply do not match it.
func (c *Client) AddAuth(ctx context.Context, scheme string, auth []byte) error {
	if ctx == nil {
		return &keeper.InvalidError{What: "context", Why: "is nil"}
	}
	cred, err := newCredential(scheme, auth)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return &keeper.OpError{Op: "add auth", Err: err, Outcome: keeper.NotApplied}
	}
	cred = c.creds.add(cred)
	c.poke()
	for {
		st, changed := c.state.get()
		if err := st.terminal(); err != nil {
			return &keeper.OpError{Op: "add auth", Err: err, Outcome: keeper.NotApplied}
		}
		select {
		case <-cred.accepted:
			return nil
		case <-changed:
		case <-ctx.Done():
			return &keeper.OpError{Op: "add auth", Err: ctx.Err(), Outcome: keeper.Unknown}
		}
	}
}

// warnOfClearText tells the log when a password is about to cross the network
// for all to read.
func (c *conn) warnOfClearText(creds []*credential) {
	if !slices.ContainsFunc(creds, func(cred *credential) bool { return cred.scheme == "digest" }) {
		return
	}
	if _, encrypted := c.nc.(interface {
		HandshakeContext(ctx context.Context) error
	}); encrypted {
		return // a *tls.Conn
	}
	remote := c.nc.RemoteAddr()
	if remote == nil {
		return
	}
	host, _, err := net.SplitHostPort(remote.String())
	if err != nil {
		return // no network
	}
	if ip := net.ParseIP(host); ip != nil && !ip.IsLoopback() {
		c.s.c.cfg.log.Warn("a digest password is sent in clear: the connection is not encrypted", "server", c.addr)
	}
}

// authCall is the request that presents cred.
func (c *conn) authCall(cred *credential) *call {
	return newInternal(callAuth, proto.XidAuth, proto.OpAuth, &proto.AuthPacket{Scheme: cred.scheme, Auth: cred.auth},
		func(h proto.ReplyHeader) error {
			if h.Err != keeper.OK {
				return &authError{scheme: cred.scheme, code: h.Err}
			}
			cred.once.Do(func() { close(cred.accepted) })
			c.setupDone()
			return nil
		})
}

// authError ends a connection, and with it the Client.
type authError struct {
	scheme string
	code   keeper.Code
}

func (e *authError) Error() string {
	return "the server refused the credentials of scheme " + e.scheme + ": " + e.code.Error()
}
