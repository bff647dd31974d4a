package client

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"
)

// ErrServersBehind is part of the errors of Session and WaitConnected when for
// more than two session timeouts every server has closed the connection in answer
// to the handshake. That is what a server does that knows less than this client has
// seen, for instance one restored from a backup. The client goes on trying: it must
// not let time go back.
var ErrServersBehind = errors.New("all servers hang up, and may be behind what this client has seen")

// suspect adds what a row of failed attempts may mean to the last one's error.
func (l *loop) suspect(err error) error {
	hungUp := errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
	if !hungUp || l.c.lastZxid.Load() == 0 {
		l.snubbed = time.Time{}
		return err
	}
	now := time.Now()
	if l.snubbed.IsZero() {
		l.snubbed = now
	}
	if now.Sub(l.snubbed) > 2*l.c.cfg.timeout {
		return fmt.Errorf("%w: %w", ErrServersBehind, err)
	}
	return err
}
