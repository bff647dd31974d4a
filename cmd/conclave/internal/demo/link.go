package demo

import (
	"context"
	"errors"
	"net"
	"sync"
)

// errSevered is what a dial over a severed link returns.
var errSevered = errors.New("the link is severed")

// link is one client's way to the servers. Severed, it drops what either side
// sends without telling anybody, and no new connection comes about.
type link struct {
	mu      sync.Mutex
	severed bool // guarded by mu
}

// Dial fits client.WithDialer.
func (l *link) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if l.isSevered() {
		return nil, errSevered
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &linkConn{Conn: c, link: l}, nil
}

// Sever cuts the link.
func (l *link) Sever() { l.set(true) }

// Heal lets new connections through; what was severed stays mute.
func (l *link) Heal() { l.set(false) }

func (l *link) set(severed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.severed = severed
}

func (l *link) isSevered() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.severed
}

// linkConn is a connection over a link. Once it has met the cut it is mute for
// good, healed or not.
type linkConn struct {
	net.Conn
	link *link

	mu   sync.Mutex
	mute bool // guarded by mu
}

func (c *linkConn) isMute() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mute = c.mute || c.link.isSevered()
	return c.mute
}

// Read returns nothing that arrives after the cut; it ends by deadline, by
// Close, or when the server hangs up.
func (c *linkConn) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if err != nil || !c.isMute() {
			return n, err
		}
	}
}

// Write pretends that all is well after the cut.
func (c *linkConn) Write(b []byte) (int, error) {
	if c.isMute() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}
